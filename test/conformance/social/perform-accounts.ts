/** Changes of accounts, takedowns and private writes of a random history. */
import type { DataPlaneClient } from '@atproto/bsky';
import { Timestamp } from '@bufbuild/protobuf';
import { type BlobId, type Community, choose, type MadeRecord, names } from './community.ts';
import type { Operation, OperationKind } from './operation.ts';
import { collections, type Perform } from './perform-posts.ts';

const handleCount = 3;
const statuses = ['suspended', 'deactivated', ''] as const;

/** Takes one of a few handles, from the account that holds it if one does. */
async function handle(community: Community, operation: Operation): Promise<void> {
  const by = community.active(operation.by);
  if (by === undefined) return;
  const wanted = `${community.seed.prefix}h${operation.variant % handleCount}.test`;
  const holder = names.find((name) => community.handles.get(name) === wanted);
  if (holder === by) return;
  if (holder !== undefined) {
    if (!community.isActive(holder)) return;
    const free = `${community.seed.prefix}x${operation.id % 1000}.test`;
    await community.writer.changeHandle(holder, free);
    community.handles.set(holder, free);
    community.trace.push(`${holder} leaves the handle ${wanted} for ${free}`);
    // If both came at once, the official plane could take the holder's new handle, too.
    await community.seed.network.processOfficial();
  }
  await community.writer.changeHandle(by, wanted);
  community.handles.set(by, wanted);
  community.trace.push(`${by} takes the handle ${wanted}`);
}

async function deactivate(community: Community, operation: Operation): Promise<void> {
  const by = community.active(operation.by);
  if (by === undefined) return;
  await community.writer.deactivate(by);
  community.markInactive(by);
  community.trace.push(`${by} is deactivated`);
}

async function activate(community: Community, operation: Operation): Promise<void> {
  const by = names.find((_name, index) => community.inactive(operation.by + index) !== undefined);
  const name = by === undefined ? undefined : community.inactive(operation.by + names.indexOf(by));
  if (name === undefined) return;
  await community.writer.activate(name);
  community.markActive(name);
  community.trace.push(`${name} is active again`);
}

async function deleteAccount(community: Community, operation: Operation): Promise<void> {
  const by = community.active(operation.by);
  if (by === undefined) return;
  await community.writer.deleteAccount(by);
  community.markGone(by);
  community.trace.push(`the account of ${by} is deleted`);
}

/** A write to every plane about one account or record. */
function privately(
  method: string,
  requestOf: (community: Community, operation: Operation) => object | undefined,
): Perform {
  return async (community, operation) => {
    const request = requestOf(community, operation);
    if (request === undefined) return;
    const call = (plane: DataPlaneClient): Promise<unknown> =>
      (plane[method as keyof DataPlaneClient] as unknown as (request: object) => Promise<unknown>)(request);
    await community.writeAll(method, `${method} ${JSON.stringify(request)}`, call);
  };
}

function anyRecord({ records }: Community, { first }: Operation): MadeRecord | undefined {
  return choose(
    records.filter(({ exists }) => exists),
    first,
  );
}

/** Takes down a record, one time in twelve perhaps one that is gone. */
function takenDownRecord(community: Community, operation: Operation): object | undefined {
  const { records } = community;
  const record = operation.variant === 11 ? choose(records, operation.first) : anyRecord(community, operation);
  if (record === undefined) return undefined;
  community.takenDownUris.add(record.uri);
  const { id } = operation;
  return { recordUri: record.uri, ...(id % 2 === 0 ? { ref: `record-${id}` } : {}) };
}

/** Restores a record that was taken down, else any. */
function restoredRecord(community: Community, operation: Operation): object | undefined {
  const takenDown = community.records.filter(({ uri }) => community.takenDownUris.has(uri));
  const record = choose(takenDown, operation.first) ?? anyRecord(community, operation);
  if (record === undefined) return undefined;
  community.takenDownUris.delete(record.uri);
  return { recordUri: record.uri };
}

/** Takes down a blob of a record that exists or existed. */
function takenDownBlob(community: Community, { first, id }: Operation): object | undefined {
  const blobs = community.records.flatMap((record): BlobId[] => {
    const [, cid] = /"\$link":"([a-z0-9]+)"/.exec(JSON.stringify(record.body)) ?? [];
    return cid === undefined ? [] : [{ id: record.id, did: community.writer.did(record.by), cid }];
  });
  const chosen = choose(
    blobs.filter((blob) => !community.takenDownBlobs.has(idOfBlob(blob))),
    first,
  );
  if (chosen === undefined) return undefined;
  community.takenDownBlobs.set(idOfBlob(chosen), chosen);
  return { did: chosen.did, cid: chosen.cid, ...(id % 2 === 0 ? { ref: `blob-${id}` } : {}) };
}

function restoredBlob(community: Community, { first }: Operation): object | undefined {
  const chosen = choose([...community.takenDownBlobs.values()], first);
  if (chosen === undefined) return undefined;
  community.takenDownBlobs.delete(idOfBlob(chosen));
  return { did: chosen.did, cid: chosen.cid };
}

function idOfBlob({ did, cid }: BlobId): string {
  return `${did} ${cid}`;
}

const actor = (community: Community, { by }: Operation): { readonly actorDid: string } => ({
  actorDid: community.did(by),
});

function toward(community: Community, operation: Operation): object {
  const { variant, by, whom } = operation;
  return {
    actorDid: community.did(by),
    subjectDid: community.did(whom),
    ...(variant === 0 ? { onlyReposts: true } : {}),
    ...(variant === 1 ? { onlyQuoteposts: true } : {}),
  };
}

function towardList(community: Community, operation: Operation): object | undefined {
  const list = community.find(collections.list, operation.first);
  return list === undefined ? undefined : { ...actor(community, operation), subjectUri: list.uri };
}

function towardThread(community: Community, operation: Operation): object | undefined {
  const post = community.find(collections.post, operation.first);
  return post === undefined ? undefined : { ...actor(community, operation), threadRoot: post.uri };
}

function seen(community: Community, operation: Operation): object {
  const timestamp = Timestamp.fromDate(new Date(Date.now() - operation.variant * 1000));
  return { ...actor(community, operation), timestamp };
}

export const accountOperations = {
  handle,
  deactivate,
  activate,
  'delete account': deleteAccount,
  'take down actor': privately('takedownActor', (community, { by, id }) => ({
    did: community.did(by),
    ref: id % 2 === 0 ? `ref-${id}` : '',
  })),
  'restore actor': privately('untakedownActor', (community, { by }) => ({ did: community.did(by) })),
  'take down record': privately('takedownRecord', takenDownRecord),
  'restore record': privately('untakedownRecord', restoredRecord),
  'take down blob': privately('takedownBlob', takenDownBlob),
  'restore blob': privately('untakedownBlob', restoredBlob),
  'upstream status': privately('updateActorUpstreamStatus', (community, operation) => ({
    ...actor(community, operation),
    upstreamStatus: statuses[operation.variant % statuses.length]!,
  })),
  'notifications seen': privately('updateNotificationSeen', seen),
  mute: privately('createActorMute', toward),
  unmute: privately('deleteActorMute', (community, { by, whom }) => ({
    actorDid: community.did(by),
    subjectDid: community.did(whom),
  })),
  'clear mutes': privately('clearActorMutes', actor),
  'mute list': privately('createActorMutelistSubscription', towardList),
  'unmute list': privately('deleteActorMutelistSubscription', towardList),
  'clear list mutes': privately('clearActorMutelistSubscriptions', actor),
  'mute thread': privately('createThreadMute', towardThread),
  'unmute thread': privately('deleteThreadMute', towardThread),
  'clear thread mutes': privately('clearThreadMutes', actor),
} satisfies Partial<Record<OperationKind, Perform>>;
