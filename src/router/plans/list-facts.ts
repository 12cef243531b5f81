/** What the records of lists say, for plans that go by it. */
import { decodeListFacts, type ListFacts } from '../../wire/list-messages.ts';
import { encodeTexts } from '../../wire/message.ts';
import { nodeCalls } from '../../wire/node-calls.ts';
import { groupByOwner, ungroup } from '../plan/owner-groups.ts';
import type { PlanContext } from '../plan/plan.ts';
import { didOfUri } from '../plan/slot-finder.ts';

const missingList: ListFacts = { exists: false, isReference: false, createdMs: 0, cid: Buffer.alloc(0) };

/** Returns what the records of lists say, each asked in the slot of the list's owner. */
export async function listFactsOf(uris: readonly string[], { fanOut, deadlineMs }: PlanContext): Promise<ListFacts[]> {
  const groups = groupByOwner(uris, didOfUri, fanOut);
  const subRequests = groups.map(({ node, texts }) => ({ node, payload: encodeTexts(texts) }));
  const answers = await fanOut.askAll(nodeCalls.lists, subRequests, deadlineMs);
  return ungroup(uris.length, groups, answers.map(decodeListFacts), missingList, nodeCalls.lists);
}
