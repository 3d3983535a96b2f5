import { pino } from "pino";
import type { Log } from "./deps.ts";

/** JSON lines on standard output, which Lambda hands to CloudWatch. */
export function openLog(level: string): Log {
  const logger = pino({ level, base: null, formatters: { level: (label) => ({ level: label }) } });
  return {
    info: (message, fields = {}) => logger.info(fields, message),
    warn: (message, fields = {}) => logger.warn(fields, message),
    error: (message, fields = {}) => logger.error(fields, message),
  };
}
