/** The operators' endpoints about sources: where to begin, what was missed, whether to follow. */
import * as v from 'valibot';
import { objectShape } from '../config/json-shape.ts';
import { type JsonRoute, postRoute, refuseRequest } from '../http/json-route.ts';
import type { Bsync } from './bsync.ts';
import { bsyncStreams } from './bsync-client.ts';
import type { AnySubscription } from './subscription.ts';

const source = v.string('must be the name of a source');
const sourceBody = objectShape({ source });
const cursorMessage = 'must be a seq';
const beginBody = objectShape({
  source,
  cursor: v.optional(v.nullable(v.pipe(v.number(cursorMessage), v.safeInteger(cursorMessage), v.minValue(0)))),
});

function named(subscriptions: readonly AnySubscription[], source: string): AnySubscription {
  const found = subscriptions.find(({ name }) => name === source);
  if (found !== undefined) return found;
  const names = subscriptions.map(({ name }) => name).join(', ');
  const hint = names === '' ? 'Start ingest with --relay, --pds or --labeler.' : `Give one of these: ${names}.`;
  return refuseRequest(`source: none is named "${source.slice(0, 200)}"`, hint);
}

/** Returns every endpoint about sources. */
export function sourceRoutes(subscriptions: readonly AnySubscription[], bsync: Bsync | null): JsonRoute[] {
  return [
    // `cursor` is a seq (exclusive), or absent or null for now, which for bsync is its beginning.
    postRoute('/v1/source/begin', beginBody, async ({ source, cursor = null }) => {
      const stream = bsyncStreams.find((name) => source === `bsync:${name}`);
      if (stream === undefined || bsync === null)
        return { source, cursor, cursorBefore: await named(subscriptions, source).beginAgain(cursor) };
      return { source, cursor: cursor ?? 0, cursorBefore: await bsync.beginAgain(stream, cursor ?? 0) };
    }),
    postRoute('/v1/source/mended', sourceBody, async ({ source }) => ({
      source,
      gap: await named(subscriptions, source).condition.endGap(),
    })),
    postRoute('/v1/source/pause', sourceBody, async ({ source }) => {
      const subscription = named(subscriptions, source);
      await subscription.pause.begin();
      return subscription.status;
    }),
    postRoute('/v1/source/resume', sourceBody, async ({ source }) => {
      const subscription = named(subscriptions, source);
      await subscription.pause.end();
      return subscription.status;
    }),
  ];
}
