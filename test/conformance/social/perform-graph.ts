/** Follows, blocks, lists, profiles and declarations of a random history. */
import { type Community, choose, type MadeRecord, type Name, names } from './community.ts';
import type { Operation, OperationKind } from './operation.ts';
import { collections, type Perform } from './perform-posts.ts';

const referenceList = 'app.bsky.graph.defs#referencelist';
const purposes = ['modlist', 'referencelist', 'modlist', 'curatelist', 'referencelist'] as const;

function relate(collection: string): Perform {
  return async (community, operation) => {
    const by = community.active(operation.by);
    if (by === undefined) return;
    await community.create(operation, by, collection, { subject: community.did(operation.whom) });
  };
}

async function list(community: Community, operation: Operation): Promise<void> {
  const by = community.active(operation.by);
  if (by === undefined) return;
  const purpose = `app.bsky.graph.defs#${purposes[operation.variant % purposes.length]!}`;
  await community.create(operation, by, collections.list, { name: `list ${operation.id}`, purpose });
}

async function listItem(community: Community, operation: Operation): Promise<void> {
  const by = community.active(operation.by);
  if (by === undefined) return;
  // One time in twelve an item of another's list, which is void.
  const of = community.find(collections.list, operation.first, operation.variant === 11 ? undefined : by);
  if (of === undefined) return;
  const body = { subject: community.did(operation.whom), list: of.uri };
  await community.create(operation, by, collections.listItem, body);
}

async function listBlock(community: Community, operation: Operation): Promise<void> {
  const by = community.active(operation.by);
  const subject = community.find(collections.list, operation.first);
  if (by === undefined || subject === undefined) return;
  await community.create(operation, by, 'app.bsky.graph.listblock', { subject: subject.uri });
}

/** Opts out of a reference list that holds the actor; one time in three of any list. */
async function listOptOut(community: Community, operation: Operation): Promise<void> {
  const by = community.active(operation.by);
  if (by === undefined) return;
  const isReference = ({ by: owner, collection, exists, body }: MadeRecord): boolean =>
    exists && collection === collections.list && body['purpose'] === referenceList && community.isActive(owner);
  const references = operation.variant % 3 === 0 ? [] : community.records.filter(isReference);
  const reference = choose(references, operation.first);
  if (reference !== undefined) await putOnList(community, operation, reference, by);
  const subject = reference ?? community.find(collections.list, operation.first);
  if (subject === undefined) return;
  await community.create(operation, by, 'app.bsky.graph.referencelistoptout', { subject: subject.uri });
}

async function putOnList(community: Community, operation: Operation, of: MadeRecord, member: Name): Promise<void> {
  const body = { subject: community.writer.did(member), list: of.uri };
  const isOnList = community.records.some(
    ({ exists, by, body: held }) =>
      exists && by === of.by && held['list'] === body.list && held['subject'] === body.subject,
  );
  if (isOnList) return;
  await community.create({ ...operation, id: operation.id ^ 1 }, of.by, collections.listItem, body);
  // Gates that name the list judge by it what the actor writes next.
  await community.seed.network.processOfficial();
}

async function starterPack(community: Community, operation: Operation): Promise<void> {
  const by = community.active(operation.by);
  if (by === undefined) return;
  const of = community.find(collections.list, operation.first, by);
  const feed = community.find(collections.feed, operation.second);
  if (of === undefined) return;
  const feeds = feed === undefined ? [] : [{ uri: feed.uri }];
  const body = { name: `pack ${operation.id}`, list: of.uri, feeds };
  await community.create(operation, by, 'app.bsky.graph.starterpack', body);
}

async function feed(community: Community, operation: Operation): Promise<void> {
  const by = community.active(operation.by);
  if (by === undefined) return;
  const body = { did: community.did(operation.whom), displayName: `feed ${operation.id}` };
  await community.create(operation, by, collections.feed, body);
}

async function labeler(community: Community, operation: Operation): Promise<void> {
  const by = community.active(operation.by);
  if (by === undefined) return;
  await community.create(operation, by, 'app.bsky.labeler.service', { policies: { labelValues: ['spam'] } }, 'self');
}

/** Writes a profile; one in three shows its actor to none but users. */
async function profile(community: Community, operation: Operation): Promise<void> {
  const by = community.active(operation.by);
  if (by === undefined) return;
  const pack = community.find('app.bsky.graph.starterpack', operation.first);
  const joined = pack === undefined ? {} : { joinedViaStarterPack: { uri: pack.uri, cid: pack.cid } };
  const values = [{ val: '!no-unauthenticated' }];
  const labels = operation.variant % 3 === 0 ? { labels: { $type: 'com.atproto.label.defs#selfLabels', values } } : {};
  const body = { displayName: `${by} ${operation.id}`, description: '', ...joined, ...labels };
  await community.create(operation, by, 'app.bsky.actor.profile', body, 'self');
}

async function status(community: Community, operation: Operation): Promise<void> {
  const by = community.active(operation.by);
  if (by === undefined) return;
  const body = { status: 'app.bsky.actor.status#live', durationMinutes: 1 + operation.variant };
  await community.create(operation, by, 'app.bsky.actor.status', body, 'self');
}

async function declaration(community: Community, operation: Operation): Promise<void> {
  const by = community.active(operation.by);
  if (by === undefined) return;
  const values = ['none', 'following', 'all'] as const;
  const subscribers = ['none', 'mutuals', 'followers'] as const;
  const value = values[operation.variant % 3]!;
  switch (operation.variant % 4) {
    case 0:
      await community.create(operation, by, 'chat.bsky.actor.declaration', { allowIncoming: value }, 'self');
      return;
    case 1: {
      const germ = { version: '1.0.0', currentKey: { $bytes: 'aGVsbG8' } };
      await community.create(operation, by, 'com.germnetwork.declaration', germ, 'self');
      return;
    }
    default: {
      const body = { allowSubscriptions: subscribers[operation.variant % 3]! };
      await community.create(operation, by, 'app.bsky.notification.declaration', body, 'self');
    }
  }
}

async function verification(community: Community, operation: Operation): Promise<void> {
  const by = community.active(operation.by);
  if (by === undefined) return;
  const name = names[operation.whom % names.length]!;
  const body = { subject: community.did(operation.whom), handle: `${name}.test`, displayName: name };
  await community.create(operation, by, 'app.bsky.graph.verification', body);
}

/** Writes a publication, or a document of one, which may be another's. */
async function site(community: Community, operation: Operation): Promise<void> {
  const by = community.active(operation.by);
  if (by === undefined) return;
  if (operation.variant % 2 === 0) {
    const body = { name: `site ${operation.id}`, url: 'https://example.com' };
    await community.create(operation, by, 'site.standard.publication', body);
    return;
  }
  const of = community.find('site.standard.publication', operation.first)?.uri ?? 'https://example.com';
  const body = { site: of, title: `document ${operation.id}`, publishedAt: community.time(operation) };
  await community.create(operation, by, 'site.standard.document', body);
}

/** Records whose subject no other record of their author has, so that an update is no duplicate. */
function hasDuplicate(community: Community, record: MadeRecord): boolean {
  const subjectOf = ({ body }: MadeRecord): string => JSON.stringify([body['subject'], body['list']]);
  const isSame = (other: MadeRecord): boolean =>
    other !== record && other.collection === record.collection && subjectOf(other) === subjectOf(record);
  const hasSubject = 'subject' in record.body;
  return hasSubject && community.records.some((other) => other.exists && other.by === record.by && isSame(other));
}

async function update(community: Community, operation: Operation): Promise<void> {
  const record = chooseOwn(community, operation, true);
  if (record === undefined || hasDuplicate(community, record)) return;
  const isPost = record.collection === collections.post;
  const change = isPost ? { text: `updated ${operation.id}` } : { createdAt: community.time(operation) };
  await community.rewrite(record, { ...record.body, ...change });
}

async function remove(community: Community, operation: Operation): Promise<void> {
  const record = chooseOwn(community, operation, true);
  if (record !== undefined) await community.delete(record);
}

async function recreate(community: Community, operation: Operation): Promise<void> {
  const record = chooseOwn(community, operation, false);
  if (record !== undefined) await community.rewrite(record, record.body);
}

function chooseOwn(community: Community, operation: Operation, exists: boolean): MadeRecord | undefined {
  const by = community.active(operation.by);
  return choose(
    community.records.filter((record) => record.by === by && record.exists === exists),
    operation.first,
  );
}

/** Writes a record that a data plane must refuse. */
async function invalid(community: Community, operation: Operation): Promise<void> {
  const by = community.active(operation.by);
  if (by === undefined) return;
  const bodies = [
    [collections.post, { text: 7 }],
    [collections.like, { subject: 'nothing' }],
    ['app.bsky.graph.follow', { subject: 'nobody' }],
    [collections.list, { name: '', purpose: 'none' }],
  ] as const;
  const [collection, body] = bodies[operation.variant % bodies.length]!;
  await community.writer.create(by, collection, { createdAt: community.time(operation), ...body });
  community.trace.push(`${by} writes an invalid ${collection}`);
}

export const graphOperations = {
  follow: relate('app.bsky.graph.follow'),
  block: relate('app.bsky.graph.block'),
  list,
  'list item': listItem,
  'list block': listBlock,
  'list opt-out': listOptOut,
  'starter pack': starterPack,
  feed,
  labeler,
  profile,
  status,
  site,
  declaration,
  verification,
  update,
  delete: remove,
  recreate,
  invalid,
} satisfies Partial<Record<OperationKind, Perform>>;
