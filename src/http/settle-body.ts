/** The body of `POST /v1/settle`, which a router takes and passes on to ingest. */
import * as v from 'valibot';
import { objectShape, recordShape, wholeNumberShape } from '../config/json-shape.ts';

const timeoutMsDefault = 30_000;
const timeoutMsMax = 600_000;
const timeoutMessage = `must be a number from 1 to ${timeoutMsMax}`;

const idMessage = 'must be the id of an operation';
/** bsync spells ids as text. */
const operationId = v.optional(
  v.pipe(
    v.union([v.number(), v.pipe(v.string(), v.regex(/^\d{1,16}$/))], idMessage),
    v.transform(Number),
    v.safeInteger(idMessage),
    v.minValue(0, idMessage),
  ),
);

/**
 * `cursors` holds the sequence number to wait for by source, `bsync` the id of an operation by
 * stream; absent means all that was received.
 */
export const settleBody = objectShape({
  cursors: v.optional(recordShape(v.string(), wholeNumberShape(0, Number.MAX_SAFE_INTEGER))),
  bsync: v.optional(objectShape({ mute: operationId, notif: operationId, op: operationId })),
  timeoutMs: v.optional(
    v.pipe(v.number(timeoutMessage), v.gtValue(0, timeoutMessage), v.maxValue(timeoutMsMax, timeoutMessage)),
    timeoutMsDefault,
  ),
});

export type SettleBody = v.InferOutput<typeof settleBody>;
