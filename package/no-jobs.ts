import { InvalidInput } from "../core/contract/errors.ts";

// What stands in the package for `#jobs`, of which it has none: whoever imports it was not told of the application's.
throw new InvalidInput("ROGER_JOBS", "must name the module that exports your jobs");
