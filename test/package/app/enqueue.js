import { clientEnvironment, connect, jobSpec } from "roger-serverless";
import { z } from "zod";

/** `node enqueue.js <partition> <job> <args as JSON>` */
const [partition = "", name = "", args = "{}"] = process.argv.slice(2);
const client = connect(clientEnvironment());
const spec = jobSpec({ name, args: z.record(z.string(), z.string()) });
const { jobId } = await client.enqueue(spec, JSON.parse(args), { partition });
await client.close();
process.stdout.write(jobId);
