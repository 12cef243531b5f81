/** Curl commands about accounts and posts that exist, which `skyshard up --demo` prints. */
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { adminRequest } from '../admin-request.ts';
import type { RunFile } from '../process/run-file.ts';
import { callService, listOf, methodPath, numberAt, type ServiceAddress, type ServiceAnswer } from '../service-call.ts';

const timeoutMs = 10_000;
const actorsMax = 100;
const postsMax = 50;

function textOf(answer: ServiceAnswer | undefined, field: string): string {
  const value = answer?.[field];
  return typeof value === 'string' ? value : '';
}

/** Returns the item with the greatest number, or undefined when there is none. */
function greatest<Item>(items: readonly Item[], numberOf: (index: number) => number): Item | undefined {
  let best = 0;
  for (let index = 1; index < items.length; index++) if (numberOf(index) > numberOf(best)) best = index;
  return items[best];
}

/** Returns the most followed account that the simulated network lists. */
async function popularActor(router: ServiceAddress, demoUrl: string): Promise<string> {
  const path = `/xrpc/com.atproto.sync.listRepos?limit=${actorsMax}`;
  const repos = (await adminRequest({ url: demoUrl, path, token: null, timeoutMs })) as ServiceAnswer;
  const dids = listOf(repos, 'repos').map((repo) => textOf(repo, 'did'));
  const counts = await callService(router, 'GetCountsForUsers', { dids });
  const did = greatest(dids, (index) => numberAt(counts, 'followers', index));
  if (did === undefined) throw new DataPlaneError('NotFound', 'the simulated network lists no account');
  return did;
}

/** Returns the account's post with the most likes and replies; a reply counts as ten likes. */
async function popularPost(router: ServiceAddress, actorDid: string): Promise<string> {
  const feed = await callService(router, 'GetAuthorFeed', { actorDid, limit: postsMax });
  const uris = listOf(feed, 'items').map((item) => textOf(item, 'uri'));
  const counts = await callService(router, 'GetInteractionCounts', { refs: uris.map((uri) => ({ uri })) });
  const uri = greatest(uris, (at) => numberAt(counts, 'likes', at) + 10 * numberAt(counts, 'replies', at));
  if (uri === undefined) throw new DataPlaneError('NotFound', `${actorDid} has no post`);
  return uri;
}

function curlLine(url: string, method: string, request: object): string {
  return `curl -s ${url}${methodPath(method)} -H 'content-type: application/json' -d '${JSON.stringify(request)}'`;
}

/** Returns curl commands for an account, its timeline and a thread; none without the demo. */
export async function curlExamples(run: RunFile): Promise<string[]> {
  if (run.demo === null) return [];
  const router = { url: run.router.url, timeoutMs };
  const did = await popularActor(router, run.demo.url);
  const postUri = await popularPost(router, did);
  return [
    curlLine(router.url, 'GetActors', { dids: [did] }),
    curlLine(router.url, 'GetTimeline', { actorDid: did, limit: 5 }),
    curlLine(router.url, 'GetThread', { postUri, above: 10, below: 10 }),
  ];
}
