/** The body of `POST /v1/settle`, which a router takes and passes on to ingest. */
import * as v from 'valibot';
import { objectShape, recordShape, wholeNumberShape } from '../config/json-shape.ts';

const timeoutMsDefault = 30_000;
const timeoutMsMax = 600_000;
const timeoutMessage = `must be a number from 1 to ${timeoutMsMax}`;

/** `cursors` holds the sequence number to wait for by source; absent means all received events. */
export const settleBody = objectShape({
  cursors: v.optional(recordShape(v.string(), wholeNumberShape(0, Number.MAX_SAFE_INTEGER))),
  timeoutMs: v.optional(
    v.pipe(v.number(timeoutMessage), v.gtValue(0, timeoutMessage), v.maxValue(timeoutMsMax, timeoutMessage)),
    timeoutMsDefault,
  ),
});

export type SettleBody = v.InferOutput<typeof settleBody>;
