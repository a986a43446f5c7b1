/** Verifies transcripts with what the page uses: `node tests/verify_draw.mjs transcript.json ...`; 0 if all fit, else 1. */

import { readFileSync } from "node:fs";
import { Unfit, verify } from "../static/js/model/fair.js";

for (const path of process.argv.slice(2)) {
  try {
    const transcript = JSON.parse(readFileSync(path, "utf8"));
    console.log(`${path}: ok: ${verify(transcript).holders}`);
  } catch (error) {
    if (!(error instanceof Unfit || error instanceof SyntaxError)) throw error;
    process.exitCode = 1;
    console.log(`${path}: does not fit: ${error.message}`);
  }
}
