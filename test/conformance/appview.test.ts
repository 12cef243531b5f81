/** An unmodified official AppView works on our data plane, over both HTTP versions. */
import { afterAll, beforeAll, describe, inject } from 'vitest';
import { ResourceStack } from '../support/resource-stack.ts';
import { ScriptedNetwork } from '../support/scripted-network.ts';
import { actorTests } from './appview/actor-tests.ts';
import { AppViewReader } from './appview/app-view-reader.ts';
import { callTests } from './appview/call-tests.ts';
import { accountTests, blockTests, notificationTests, takedownTests } from './appview/change-tests.ts';
import { deletionTests } from './appview/deletion-tests.ts';
import { type FeatureStage, type Name, startFeatureStage } from './appview/feature-stage.ts';
import { feedGeneratorTests } from './appview/feed-generator-tests.ts';
import { gateTests } from './appview/gate-tests.ts';
import { labelerTests } from './appview/labeler-tests.ts';
import { listTests } from './appview/list-tests.ts';
import { opThreadTests } from './appview/op-thread-tests.ts';
import { preferenceTests } from './appview/preference-tests.ts';
import { privateTests } from './appview/private-tests.ts';
import { feedTests, graphTests, profileTests, threadTests } from './appview/read-tests.ts';
import { recordTests } from './appview/record-tests.ts';
import { type Member, writeScenario } from './appview/scenario.ts';
import { type SearchStage, searchTests } from './appview/search-tests.ts';
import { siteTests } from './appview/site-tests.ts';
import { starterPackTests } from './appview/starter-pack-tests.ts';
import { suggestionTests } from './appview/suggestion-tests.ts';
import type { TestSubject } from './appview/test-subject.ts';
import { verificationTests } from './appview/verification-tests.ts';
import { type AppView, startAppView } from './network/app-view.ts';
import { AtNetwork } from './network/at-network.ts';
import { Labeler } from './network/labeler.ts';
import { httpVersions, type Plane } from './network/plane.ts';
import { startPlaneUnderTest } from './network/plane-under-test.ts';
import { PrefixedSeedClient } from './network/prefixed-seed-client.ts';

const resources = new ResourceStack();
const appViews: AppView[] = [];
let network: AtNetwork;
let plane: Plane;
let seed: PrefixedSeedClient;
let labelers: readonly [Labeler, Labeler];

beforeAll(async () => {
  const postgresUrl = inject('postgresUrl');
  // One for the features, and one that asks for skeletons of searches.
  const appViewCount = httpVersions.length + 2;
  network = await AtNetwork.start({ postgresUrl, bsyncSchema: 'appview_bsync', appViewCount });
  resources.defer(() => network.close());
  seed = new PrefixedSeedClient(network, 'f-');
  labelers = [await Labeler.start(network, seed, 'labeler'), await Labeler.start(network, seed, 'other-labeler')];
  for (const labeler of labelers) resources.use(labeler);
  const dids = labelers.map(({ did }) => did);
  plane = resources.use(await startPlaneUnderTest(network, 'appview', { labelers: dids, isSearched: true }));
});

afterAll(async () => {
  await resources[Symbol.asyncDispose]();
});

describe.each([...httpVersions.entries()])('the official AppView (%i) over HTTP/%s', (index, httpVersion) => {
  const subject = {} as TestSubject;
  beforeAll(async () => {
    const appView = await startAppView(network, network.appViews[index]!, plane, httpVersion);
    resources.use(appView);
    appViews.push(appView);
    const scenario = await writeScenario(network, `h${index}-`);
    const reader = new AppViewReader<Member>(appView, scenario.seed);
    Object.assign(subject, { network, scenario, reader, appViewDid: appView.did });
  });
  profileTests(subject);
  feedTests(subject);
  threadTests(subject);
  graphTests(subject);
  blockTests(subject);
  notificationTests(subject);
  accountTests(subject);
  takedownTests(subject);
});

describe('the official AppView', () => {
  const stage = {} as FeatureStage;
  const skeletons = {} as SearchStage;
  beforeAll(async () => {
    const identity = network.appViews.at(-1)!;
    const topics = await ScriptedNetwork.start();
    resources.defer(() => topics.close());
    Object.assign(stage, await startFeatureStage({ network, identity, plane, labelers, seed, topics }));
    resources.use(stage.appView);
    appViews.push(stage.appView);
    const searching = network.appViews.at(-2)!;
    const searchUrl = plane.url('1.1');
    const appView = resources.use(await startAppView(network, searching, plane, '1.1', { searchUrl }));
    Object.assign(skeletons, { reader: new AppViewReader<Name>(appView, seed), url: searchUrl });
  });
  feedGeneratorTests(stage);
  labelerTests(stage);
  listTests(stage);
  gateTests(stage);
  starterPackTests(stage);
  privateTests(stage);
  preferenceTests(stage);
  verificationTests(stage);
  actorTests(stage);
  suggestionTests(stage);
  siteTests(stage);
  opThreadTests(stage);
  recordTests(stage);
  searchTests(stage, skeletons);
  deletionTests(stage);
});

describe('all of these AppViews', () => {
  callTests(appViews);
});
