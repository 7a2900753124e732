/** For `setupFiles` of vitest: makes the matchers known to `expect`. */
import { expect } from "vitest";
import { matchers } from "./matchers.js";

expect.extend(matchers);
