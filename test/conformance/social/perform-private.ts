/** Private operations of a random history that reach the planes through bsync. */
import { Timestamp } from '@bufbuild/protobuf';
import {
  type BsyncWriter,
  privateNamespaces as namespaces,
  type PrivateItem,
  wholePreferences,
} from '../network/bsync-writer.ts';
import { type Community, choose, tidOf } from './community.ts';
import type { Operation, OperationKind } from './operation.ts';
import { collections, type Perform } from './perform-posts.ts';

export const ageStatuses = ['pending', 'assured', 'unknown', 'blocked'] as const;
export const accesses = ['unknown', 'none', 'safe', 'full'] as const;

/** Performs an operation at bsync; left out where a plane does not read from it. */
function atBsync(act: (bsync: BsyncWriter, community: Community, operation: Operation) => Promise<string>): Perform {
  return async (community, operation) => {
    if (community.bsync === undefined) {
      community.unserved.add('bsync');
      return;
    }
    const line = await act(community.bsync, community, operation);
    if (line !== '') community.trace.push(`bsync: ${line}`);
  };
}

/** Creates an item unless the actor has one about this subject; then updates or deletes it. */
function itemAbout(
  namespace: string,
  subjectOf: (community: Community, operation: Operation) => string | undefined,
  payloadOf: (subject: string, key: string, community: Community, operation: Operation) => object,
  mayUpdate: boolean,
): Perform {
  return atBsync(async (bsync, community, operation) => {
    const actorDid = community.did(operation.by);
    const prefix = `${namespace} ${actorDid} `;
    const about = [...community.privateKeys.keys()].filter((id) => id.startsWith(prefix) && !id.includes(' until '));
    const again = operation.variant % 3 === 0 ? about[operation.second % about.length] : undefined;
    const subject = again?.slice(prefix.length) ?? subjectOf(community, operation);
    if (subject === undefined) return '';
    const id = `${prefix}${subject}`;
    const known = community.privateKeys.get(id);
    const key = known ?? tidOf(community.privateKeys.size + 1);
    const item: PrivateItem = { actorDid, namespace, key };
    const isUpdate = known !== undefined && mayUpdate && operation.variant % 2 === 0;
    if (known !== undefined && !isUpdate) {
      await bsync.put('DELETE', item);
      // The key is not used again, as the AppView takes a new one each time.
      community.privateKeys.delete(id);
      community.privateKeys.set(`${id} until ${operation.id}`, key);
      return `deletes ${JSON.stringify(item)}`;
    }
    const payload = payloadOf(subject, key, community, operation);
    await bsync.put(isUpdate ? 'UPDATE' : 'CREATE', item, payload);
    community.privateKeys.set(id, key);
    return `${isUpdate ? 'updates' : 'creates'} ${JSON.stringify(item)} ${JSON.stringify(payload)}`;
  });
}

function postOf(community: Community, { first }: Operation): string | undefined {
  return community.find(collections.post, first)?.uri;
}

const bookmark = itemAbout(
  namespaces.bookmark,
  postOf,
  (uri, _key, { records }) => ({ subject: { uri, cid: records.find((record) => record.uri === uri)!.cid } }),
  false,
);

const draft = itemAbout(
  namespaces.draft,
  (_community, { variant }) => `draft ${variant % 3}`,
  (subject, id, _community, operation) => ({ id, draft: { posts: [{ text: `${subject} ${operation.id}` }] } }),
  true,
);

const subscription = itemAbout(
  namespaces.subscription,
  (community, { by, whom }) => (by === whom ? undefined : community.did(whom)),
  (subject, _key, _community, { variant }) => ({
    subject,
    activitySubscription: { post: variant % 3 !== 0, reply: variant % 3 !== 1 },
  }),
  true,
);

/** Sets all preferences, as the AppView does, under the one key of an actor. */
const preferences = atBsync(async (bsync, community, { by, variant }) => {
  const actorDid = community.did(by);
  const item: PrivateItem = { actorDid, namespace: namespaces.preferences, key: 'self' };
  const list = variant % 2 === 0;
  const include = variant % 3 === 0 ? 'follows' : 'all';
  const payload = wholePreferences(include, list);
  const id = `${namespaces.preferences} ${actorDid}`;
  await bsync.put(community.privateKeys.has(id) ? 'UPDATE' : 'CREATE', item, payload);
  community.privateKeys.set(id, 'self');
  return `sets the preferences of ${actorDid}: ${include}, list ${list}`;
});

const priority = atBsync(async (bsync, community, { by, variant }) => {
  // An actor who never looked would be seen now, by the clock of each plane.
  const seen = { actorDid: community.did(by), timestamp: Timestamp.fromDate(new Date(community.startMs)) };
  await community.writeAll('updateNotificationSeen', `${seen.actorDid} looks`, (plane) =>
    plane.updateNotificationSeen(seen),
  );
  await bsync.priority(community.did(by), variant % 2 === 0);
  return `priority of ${community.did(by)}: ${variant % 2 === 0}`;
});

const ageAssurance = atBsync(async (bsync, community, operation) => {
  const { variant, id } = operation;
  const actorDid = community.did(operation.by);
  const isOld = id % 4 === 0;
  const namespace = isOld ? namespaces.ageAssurance : namespaces.ageAssuranceAccess;
  const event = {
    createdAt: new Date().toISOString(),
    attemptId: `attempt-${id}`,
    status: ageStatuses[variant % ageStatuses.length]!,
    // Without an access, or an unknown one, it follows from the status; which never gives `safe`.
    ...(isOld ? {} : { access: variant >= 4 ? 'safe' : accesses[id % accesses.length]!, countryCode: 'US' }),
  };
  await bsync.put('CREATE', { actorDid, namespace, key: tidOf(id) }, event);
  return `age assurance of ${actorDid}: ${JSON.stringify(event)}`;
});

const muteActor = atBsync(async (bsync, community, { by, whom, variant }) => {
  if (by === whom) return '';
  const scope = variant === 0 ? { onlyReposts: true } : variant === 1 ? { onlyQuoteposts: true } : {};
  const type = variant % 3 === 2 ? 'REMOVE' : 'ADD';
  await bsync.mute(type, community.did(by), community.did(whom), type === 'ADD' ? scope : {});
  return `${community.did(by)} ${type} a mute of ${community.did(whom)} ${JSON.stringify(scope)}`;
});

/** Mutes a list or a thread, or ends that. */
const muteRecord = atBsync(async (bsync, community, { by, first, variant }) => {
  const collection = variant % 2 === 0 ? collections.list : collections.post;
  const record = choose(
    community.records.filter((each) => each.collection === collection),
    first,
  );
  if (record === undefined) return '';
  const type = variant % 4 === 3 || variant === 6 ? 'REMOVE' : 'ADD';
  await bsync.mute(type, community.did(by), record.uri);
  return `${community.did(by)} ${type} a mute of ${record.uri}`;
});

const clearAll = atBsync(async (bsync, community, { by }) => {
  await bsync.mute('CLEAR', community.did(by), '');
  return `${community.did(by)} clears the mutes`;
});

export const privateOperations = {
  bookmark,
  draft,
  'activity subscription': subscription,
  'notification preferences': preferences,
  'notification priority': priority,
  'age assurance': ageAssurance,
  'mute an actor at bsync': muteActor,
  'mute a record at bsync': muteRecord,
  'clear mutes at bsync': clearAll,
} satisfies Partial<Record<OperationKind, Perform>>;
