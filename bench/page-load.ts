/** What an app asks for to show the first page of a timeline, as nine calls in three steps. */
import { decodeMessage } from '../src/proto/codec.ts';
import { type Asking, callOf, type HotMethod, type HotRequest } from './hot-request.ts';
import type { RequestPools } from './request-pools.ts';

const posts = 50;
const profiles = 30;

function didOfUri(uri: string): string {
  return uri.slice(5, uri.indexOf('/', 5));
}

/** Returns the page load of a viewer. A plane is asked what is in its timeline. */
async function pageOf(actorDid: string, pools: RequestPools, load: Asking): Promise<HotRequest | null> {
  const timeline = callOf('GetTimeline', { actorDid, limit: posts, cursor: '' });
  const { items } = decodeMessage('GetTimelineResponse', await load.ask(timeline.bytes));
  const uris = items.map(({ uri }) => uri);
  if (uris.length === 0) return null;
  // Pages of fewer authors ask for others too, so that all pages are of one size.
  const dids = [...new Set([...uris.map(didOfUri), ...pools.actors])].slice(0, profiles);
  const refs = uris.map((uri) => ({ uri }));
  const hydration = [
    callOf('GetActors', { dids }),
    callOf('GetInteractionCounts', { refs }),
    callOf('GetRelationships', { actorDid, targetDids: dids }),
    callOf('GetBlockExistence', { pairs: dids.map((a, index) => ({ a, b: dids[(index + 1) % dids.length]! })) }),
    callOf('GetLabels', { subjects: [...dids, ...uris], issuers: pools.labelers }),
    callOf('GetLikesByActorAndSubjects', { actorDid, refs }),
    callOf('GetRepostsByActorAndSubjects', { actorDid, refs }),
  ];
  return [[timeline], [callOf('GetPostRecords', { uris })], hydration];
}

/** Returns the page loads of all viewers. */
export async function pageLoads(pools: RequestPools, load: Asking): Promise<HotMethod> {
  const requests: HotRequest[] = [];
  for (const viewer of pools.viewers) {
    const page = await pageOf(viewer, pools, load);
    if (page !== null) requests.push(page);
  }
  return { name: 'page', requests };
}
