/** Operators' endpoints for labels, which they set and remove in the name of any labeler. */
import pLimit from 'p-limit';
import * as v from 'valibot';
import { type Label, type LabelId, labelSubject, labelUri, readLabel, readLabelId } from '../atproto/label.ts';
import type { Clock } from '../base/clock.ts';
import { operatingFailure } from '../base/data-plane-error.ts';
import { objectShape, textShape } from '../config/json-shape.ts';
import type { WrittenEntry } from '../entry/entry.ts';
import { deleteRoute, getRoute, type JsonRoute, postRoute, refuseRequest } from '../http/json-route.ts';
import { decodeTexts, encodeTexts } from '../wire/message.ts';
import { nodeCalls } from '../wire/node-calls.ts';
import { askSlotOf, writeEntryAs } from './operator-write.ts';
import type { ServiceRouter } from './plan/service-router.ts';

/** Labels of one request. */
const labelsOfRequestMax = 1_000;
const writesAtOnceMax = 16;
/** As of those that come from labelers: one from the future would hide all later ones. */
const aheadMsMax = 300_000;

const optionalText = v.optional(v.nullable(v.string('must be a text')));
const fields = {
  src: textShape,
  uri: textShape,
  cid: optionalText,
  val: textShape,
  neg: v.optional(v.boolean('must be a boolean')),
  exp: optionalText,
};
const labelShape = objectShape({ ...fields, cts: textShape });
/** The rest of a label may be there, and is not looked at. */
const idShape = objectShape({ ...fields, cts: optionalText });

function listOf<const Item extends v.GenericSchema>(item: Item) {
  const message = `must be a list of 1 to ${labelsOfRequestMax} labels`;
  const labels = v.pipe(v.array(item, message), v.minLength(1, message), v.maxLength(labelsOfRequestMax, message));
  return objectShape({ labels });
}

function refuseAt(index: number, problem: string): never {
  return refuseRequest(`labels[${index}]: ${problem}; nothing was written`);
}

function keyOf({ src, subject, cid, val }: LabelId): string {
  return JSON.stringify([src, labelUri(subject), cid, val]);
}

/** Writes all entries, or says how many it wrote before one failed; to repeat them is harmless. */
async function writeAll(
  entries: readonly WrittenEntry[],
  write: (entry: WrittenEntry) => Promise<void>,
): Promise<void> {
  const limit = pLimit(writesAtOnceMax);
  let written = 0;
  const writes = entries.map((entry) =>
    limit(async () => {
      await write(entry);
      written++;
    }),
  );
  const failed = (await Promise.allSettled(writes)).find((outcome) => outcome.status === 'rejected');
  if (failed === undefined) return;
  const failure = operatingFailure(failed.reason);
  throw failure.withMessage(`${written} of ${entries.length} labels were written, send all again: ${failure.message}`);
}

/** Reads labels. Errors: DataPlaneError `InvalidArgument` for a bad one, or one that is twice. */
function readAll<Given, Read extends LabelId>(
  given: readonly Given[],
  readOne: (fields: Given, index: number) => Read,
): Read[] {
  const read = given.map(readOne);
  const indexByKey = new Map(read.map((label, index) => [keyOf(label), index]));
  read.forEach((label, index) => {
    if (indexByKey.get(keyOf(label)) !== index) refuseAt(index, 'is in the list once more');
  });
  return read;
}

type Fields = v.InferOutput<typeof labelShape>;

function labelOf(fields: Fields, index: number, nowMs: number): Label {
  const read = readLabel({ ...fields, cid: fields.cid ?? '' });
  if (!read.ok) return refuseAt(index, read.reason);
  if (Date.parse(read.value.cts) > nowMs + aheadMsMax) refuseAt(index, 'cts is ahead of our clock');
  return read.value;
}

function idOf(fields: v.InferOutput<typeof idShape>, index: number): LabelId {
  const read = readLabelId({ ...fields, cid: fields.cid ?? '' });
  return read.ok ? read.value : refuseAt(index, read.reason);
}

/**
 * `GET /v1/labels?uri=` shows all labels of an account or a record, negated and expired ones too.
 * `POST` sets labels, `DELETE` removes those of the same source, subject, version and value.
 */
export function labelRoutes(router: ServiceRouter, clock: Clock): JsonRoute[] {
  const write = (entry: WrittenEntry): Promise<void> => writeEntryAs(router, clock, entry);
  return [
    getRoute('/v1/labels', async (query) => {
      const uri = query.get('uri') ?? '';
      const subject = labelSubject(uri) ?? refuseRequest('uri must be a DID or the AT-URI of a record');
      const call = { method: nodeCalls.labelsOf, payload: encodeTexts([uri]) };
      const labels = decodeTexts(await askSlotOf(router, clock, subject.did, call));
      return { labels: labels.map((json) => JSON.parse(json) as object) };
    }),
    postRoute('/v1/labels', listOf(labelShape), async ({ labels: given }) => {
      const labels = readAll(given, (fields, index) => labelOf(fields, index, clock.nowMs()));
      await writeAll(
        labels.map((label) => ({ kind: 'label', did: label.subject.did, label })),
        write,
      );
      return { written: labels.length };
    }),
    deleteRoute('/v1/labels', listOf(idShape), async ({ labels: given }) => {
      const ids = readAll(given, idOf);
      await writeAll(
        ids.map((id) => ({ kind: 'label-removal', did: id.subject.did, id })),
        write,
      );
      return { removed: ids.length };
    }),
  ];
}
