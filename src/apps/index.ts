/** The services that the daemon can run, by name. They take any `net`, so that they run on node:net as well. */
import { chargen } from "./chargen.js";
import { daytime } from "./daytime.js";
import { discard } from "./discard.js";
import { echo } from "./echo.js";
import { http } from "./http.js";
import type { Service } from "./service.js";

export const SERVICES: Readonly<Record<string, Service>> = Object.freeze(Object.fromEntries([echo, discard, daytime, chargen, http].map((s) => [s.name, s])));

export { httpApp } from "./http.js";
export type { NetLike, RunningService, ServerLike, Service, Where } from "./service.js";
