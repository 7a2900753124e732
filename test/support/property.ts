/** fast-check with the same cases in every run: what passes today passes tomorrow. `FC_SEED=2 npx vitest run FILE` looks at others. */
import fc from "fast-check";

fc.configureGlobal({ seed: Number(process.env["FC_SEED"] ?? 9293) });

export default fc;
