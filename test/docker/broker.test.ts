import { inject } from "vitest";
import { rabbitmqSuite } from "../contract/suites/rabbitmq.ts";
import { describeUnless } from "./describe-unless.ts";

describeUnless(inject("missing").docker, "the broker on RabbitMQ 4", rabbitmqSuite);
