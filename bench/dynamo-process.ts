import { startDynamo } from "../local/dynamodb.ts";

/** An embedded DynamoDB in a process of its own, so that its CPU is not counted as ours. Ends with its parent. */
const dynamo = await startDynamo();
process.stdout.write(`${dynamo.endpoint}\n`);
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
