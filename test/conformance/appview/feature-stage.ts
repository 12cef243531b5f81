/** What the tests of single features share: accounts, a labeler, and an AppView that heeds it. */
import type { ServerConfigValues } from '@atproto/bsky';
import { json, type ScriptedNetwork } from '../../support/scripted-network.ts';
import { type AppView, startAppView } from '../network/app-view.ts';
import type { AppViewIdentity, AtNetwork } from '../network/at-network.ts';
import { BsyncWriter } from '../network/bsync-writer.ts';
import type { Labeler } from '../network/labeler.ts';
import { OfficialPlane } from '../network/official-plane.ts';
import { OfficialOperator, type Operator, SkyshardOperator } from '../network/operator.ts';
import type { Plane } from '../network/plane.ts';
import type { PrefixedSeedClient } from '../network/prefixed-seed-client.ts';
import { type RecordBody, RecordWriter, type StoredRecord } from '../oracle/record-writer.ts';
import { AppViewReader } from './app-view-reader.ts';

const names = ['ann', 'ben', 'cat', 'dee', 'eli', 'fay'] as const;

export type Name = (typeof names)[number];

/** Has no profile until a test writes it. */
export const newcomer: Name = 'fay';

/** What the AppView shows only when it is told to. */
const gates = ['known_likers:feed:enable', 'op_thread_metadata:enable'];

const searchV2Override = 'second';

/** Filled before the first test runs. */
export interface FeatureStage {
  network: AtNetwork;
  plane: Plane;
  appView: AppView;
  reader: AppViewReader<Name>;
  /** Asks for the second version of the AppView's search. */
  searcher: AppViewReader<Name>;
  writer: RecordWriter;
  operator: Operator;
  labeler: Labeler;
  /** One that the AppView heeds only when it is asked to. */
  otherLabeler: Labeler;
  /** Answers what the AppView asks of the services that recommend, and that open its gates. */
  topics: ScriptedNetwork;
  bsync: BsyncWriter;
  did(name: Name): string;
  handle(name: Name): string;
  /** Writes a record that was created now. */
  write(by: Name, collection: string, body: RecordBody, rkey?: string): Promise<StoredRecord>;
  post(by: Name, text: string, body?: RecordBody): Promise<StoredRecord>;
  /** Answers a post, whose root is the parent unless given. */
  reply(by: Name, parent: StoredRecord, root?: StoredRecord): Promise<StoredRecord>;
}

export interface FeatureStageOptions {
  readonly network: AtNetwork;
  readonly identity: AppViewIdentity;
  readonly plane: Plane;
  readonly labelers: readonly [Labeler, Labeler];
  readonly topics: ScriptedNetwork;
  readonly seed: PrefixedSeedClient;
}

/** Creates the accounts and starts the AppView, which the caller closes. */
export async function startFeatureStage(options: FeatureStageOptions): Promise<FeatureStage> {
  const { network, identity, plane, seed, topics } = options;
  const [labeler, otherLabeler] = options.labelers;
  const settings: Partial<ServerConfigValues> = {
    labelsFromIssuerDids: [labeler.did as `did:plc:${string}`],
    threadTagsHide: new Set(['hide-in-threads']),
    draftsLimit: 3,
    searchTagsHide: new Set(['hide-in-search']),
    searchV2OverrideHeader: searchV2Override,
    topicsUrl: topics.url,
    growthBookApiHost: topics.url,
    growthBookClientKey: 'key',
  };
  const features = Object.fromEntries(gates.map((gate) => [gate, { defaultValue: true }]));
  topics.responders.set('/api/features/key', () => json({ features }));
  const appView = await startAppView(network, identity, plane, '2', settings);
  for (const name of names) {
    const account = { handle: `${name}.test`, email: `${name}@test.com`, password: `${name}-pass` } as const;
    await seed.createAccount(name, account);
  }
  const writer = new RecordWriter(seed);
  const write: FeatureStage['write'] = (by, collection, body, rkey) =>
    writer.create(by, collection, { createdAt: new Date().toISOString(), ...body }, rkey);
  const post: FeatureStage['post'] = (by, text, body = {}) => write(by, 'app.bsky.feed.post', { text, ...body });
  for (const name of names.filter((each) => each !== newcomer))
    await write(name, 'app.bsky.actor.profile', { displayName: `the ${name}` }, 'self');
  await writer.settle();
  const labels = { 'atproto-accept-labelers': `${labeler.did};redact` };
  return {
    ...{ network, plane, appView, writer, labeler, otherLabeler, topics, write, post },
    bsync: new BsyncWriter(network.bsync.url),
    reader: new AppViewReader(appView, seed, labels),
    searcher: new AppViewReader(appView, seed, { ...labels, 'x-bsky-search-v2-override': searchV2Override }),
    operator: plane instanceof OfficialPlane ? new OfficialOperator(plane) : new SkyshardOperator(plane.url('1.1')),
    did: (name) => writer.did(name),
    handle: (name) => `${seed.prefix}${name}.test`,
    reply: (by, parent, root = parent) => post(by, `${by} replies`, { reply: { root, parent } }),
  };
}
