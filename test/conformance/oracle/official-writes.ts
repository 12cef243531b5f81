/** Private writes that the official plane takes from elsewhere than its RPCs, for tests. */
import type { DataPlaneClient } from '@atproto/bsky';
import type { OfficialPlane } from '../network/official-plane.ts';

interface ThreadMute {
  readonly actorDid: string;
  readonly threadRoot: string;
}

/**
 * Adds to a client of the official plane the methods that its server has no handlers for.
 *
 * It gets thread mutes from bsync only; these write what bsync's operations would.
 */
export function withMissingWrites(client: DataPlaneClient, { db }: OfficialPlane): DataPlaneClient {
  const added: Readonly<Record<string, (request: never) => Promise<unknown>>> = {
    createThreadMute: async ({ actorDid, threadRoot }: ThreadMute) => {
      const row = { mutedByDid: actorDid, rootUri: threadRoot, createdAt: new Date().toISOString() };
      await db.db
        .insertInto('thread_mute')
        .values(row)
        .onConflict((conflict) => conflict.doNothing())
        .execute();
    },
    deleteThreadMute: async ({ actorDid, threadRoot }: ThreadMute) => {
      await db.db
        .deleteFrom('thread_mute')
        .where('mutedByDid', '=', actorDid)
        .where('rootUri', '=', threadRoot)
        .execute();
    },
    clearThreadMutes: async ({ actorDid }: Pick<ThreadMute, 'actorDid'>) => {
      await db.db.deleteFrom('thread_mute').where('mutedByDid', '=', actorDid).execute();
    },
  };
  return new Proxy(client, {
    get: (target, name) => added[String(name)] ?? target[name as keyof DataPlaneClient],
  });
}
