/** Known likers in two steps: records → who liked them last → whom of these the viewer follows. */
import { probeBit } from '../../atproto/edge-kind.ts';
import { decodeMessage, encodeMessage } from '../../proto/codec.ts';
import { openRecentLikersAnswer } from '../../wire/edge-messages.ts';
import { encodeTexts } from '../../wire/message.ts';
import { nodeCalls } from '../../wire/node-calls.ts';
import { groupByOwner } from '../plan/owner-groups.ts';
import { type Plan, type PlanContext, planDefaults, requireItemsMax } from '../plan/plan.ts';
import { didOfUri } from '../plan/slot-finder.ts';
import { pairsPerItem } from '../plan/weight.ts';
import { EdgeProbes } from './edge-probes.ts';

const { follow } = probeBit;

/** Few, since hundreds of likers are probed for each subject. */
const likedSubjectsMax = 200;

/** The range of one liker's DID in the bytes of all. */
type Range = { readonly start: number; readonly end: number };

/** Returns the bytes of the DIDs of all likers, and by index of a subject where its are. */
async function recentLikers(
  uris: readonly string[],
  { fanOut, deadlineMs }: PlanContext,
): Promise<{ readonly bytes: Buffer; readonly likers: readonly (readonly Range[])[] }> {
  const groups = groupByOwner(uris, didOfUri, fanOut);
  const subRequests = groups.map(({ node, texts }) => ({ node, payload: encodeTexts(texts) }));
  const answers = await fanOut.askAll(nodeCalls.recentLikers, subRequests, deadlineMs);
  const likers: Range[][] = uris.map(() => []);
  const parts: Buffer[] = [];
  let offset = 0;
  for (const [index, { indexes }] of groups.entries()) {
    const reader = openRecentLikersAnswer(answers[index]!);
    for (const at of indexes) {
      const runEnd = reader.lengthDelimitedRange();
      const end = reader.position;
      reader.position = runEnd;
      while (reader.position < end) {
        const start = reader.lengthDelimitedRange();
        likers[at]!.push({ start: offset + start, end: offset + reader.position });
      }
      if (reader.position > end) reader.fail('a liker is longer than its run');
    }
    reader.end();
    parts.push(reader.buffer);
    offset += reader.buffer.length;
  }
  return { bytes: Buffer.concat(parts), likers };
}

async function knownLikers(request: Buffer, context: PlanContext): Promise<Uint8Array> {
  const { actorDid, subjectUris, limit } = decodeMessage('GetKnownLikersRequest', request);
  requireItemsMax(subjectUris.length, 'GetKnownLikersRequest.subject_uris', likedSubjectsMax);
  context.admit(subjectUris.length);
  const nobody = subjectUris.map((subjectUri) => ({ subjectUri }));
  if (limit <= 0 || nobody.length === 0) return encodeMessage('GetKnownLikersResponse', { results: nobody });
  const { bytes, likers } = await recentLikers(subjectUris, context);
  const pairCount = likers.reduce((total, each) => total + each.length, 0);
  context.admit(Math.ceil(pairCount / pairsPerItem));
  const viewer = Buffer.from(actorDid);
  const probes = new EdgeProbes(context.fanOut, Buffer.concat([bytes, viewer]));
  const viewerId = probes.did(bytes.length, bytes.length + viewer.length);
  const idsOf = likers.map((ranges) => ranges.map(({ start, end }) => probes.did(start, end)));
  const probesOf = idsOf.map((ids) => ids.map((id) => probes.add(viewerId, follow, id)));
  await probes.ask(context.deadlineMs);
  const results = subjectUris.map((subjectUri, index) => {
    const ranges = likers[index]!;
    const known = ranges.filter((_range, at) => probes.foundBy(probesOf[index]![at]!) !== 0);
    const dids = known.slice(0, limit).map(({ start, end }) => bytes.latin1Slice(start, end));
    return { subjectUri, count: known.length, dids };
  });
  return encodeMessage('GetKnownLikersResponse', { results });
}

export const knownLikersPlan: Plan = {
  method: 'GetKnownLikers',
  timeoutMs: 2 * planDefaults.timeoutMs,
  isShared: true,
  run: knownLikers,
};
