/**
 * Pages of the lists whose members an actor blocks or mutes.
 *
 * As on the official data plane, only lists whose records exist are there, in the order in which
 * the lists were made, whoever made them: so the records of all are asked for, for every page.
 */
import { cidBytes } from '../../atproto/cid.ts';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { decodeMessage, encodeMessage } from '../../proto/codec.ts';
import { decodePageToken, encodePageToken, type PagePosition } from '../../proto/page-token.ts';
import { privateBit } from '../../wire/edge-messages.ts';
import type { ListFacts } from '../../wire/list-messages.ts';
import { emptyAnswer, type Plan, type PlanContext, planDefaults } from '../plan/plan.ts';
import { EdgeProbes } from './edge-probes.ts';
import { listFactsOf } from './list-facts.ts';
import { listUrisOf } from './list-probes.ts';

type Listed = ListFacts & { readonly uri: string };

function newestFirst(a: Listed, b: Listed): number {
  return b.createdMs - a.createdMs || Buffer.compare(b.cid, a.cid);
}

function isAfter({ createdMs, cid }: Listed, { timeMs, rest }: PagePosition): boolean {
  return createdMs === timeMs ? Buffer.compare(cid, rest) < 0 : createdMs < timeMs;
}

/** Returns the URIs of the lists to which an actor subscribes, by the bit of a probe. */
async function subscribedUris(did: string, bit: number, { fanOut, deadlineMs }: PlanContext): Promise<string[]> {
  const bytes = Buffer.from(did);
  const probes = new EdgeProbes(fanOut, bytes);
  const id = probes.did(0, bytes.length);
  probes.add(id, bit, id);
  await probes.ask(deadlineMs);
  return probes.subscriptions.flatMap(({ lists }) => listUrisOf(lists));
}

type Method = 'GetBlocklistSubscriptions' | 'GetMutelistSubscriptions';

async function page(method: Method, bit: number, request: Buffer, context: PlanContext): Promise<Uint8Array> {
  const { actorDid, limit, cursor } = decodeMessage(`${method}Request`, request);
  const before = cursor === '' ? null : decodePageToken(cursor, cidBytes);
  if (before === undefined)
    throw new DataPlaneError('InvalidArgument', `${method}Request.cursor: malformed page token`);
  if (limit <= 0) return emptyAnswer;
  const uris = await subscribedUris(actorDid, bit, context);
  if (uris.length === 0) return emptyAnswer;
  context.admit(uris.length);
  const facts = await listFactsOf(uris, context);
  const lists = facts
    .map((each, index): Listed => ({ ...each, uri: uris[index]! }))
    .filter((list) => list.exists && (before === null || isAfter(list, before)))
    .sort(newestFirst);
  const shown = lists.slice(0, limit);
  const last = shown.at(-1);
  const next = last === undefined || lists.length === shown.length ? '' : encodePageToken(last.createdMs, last.cid);
  return encodeMessage(`${method}Response`, { listUris: shown.map(({ uri }) => uri), cursor: next });
}

function subscriptions(method: Method, bit: number, isShared: boolean): Plan {
  const run = (request: Buffer, context: PlanContext): Promise<Uint8Array> => page(method, bit, request, context);
  return { method, timeoutMs: planDefaults.timeoutMs, isShared, run };
}

export const listSubscriptionPlans: readonly Plan[] = [
  subscriptions('GetBlocklistSubscriptions', privateBit.listBlocks, true),
  subscriptions('GetMutelistSubscriptions', privateBit.listMutes, false),
];
