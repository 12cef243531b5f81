/** An unmodified official AppView works on our data plane, over both HTTP versions. */
import { afterAll, beforeAll, describe, inject } from 'vitest';
import { AppViewReader } from './appview/app-view-reader.ts';
import { accountTests, blockTests, notificationTests, takedownTests } from './appview/change-tests.ts';
import { feedTests, graphTests, profileTests, threadTests } from './appview/read-tests.ts';
import { writeScenario } from './appview/scenario.ts';
import type { TestSubject } from './appview/test-subject.ts';
import { startAppView } from './network/app-view.ts';
import { AtNetwork } from './network/at-network.ts';
import { httpVersions, type Plane } from './network/plane.ts';
import { startPlaneUnderTest } from './network/plane-under-test.ts';
import { ResourceStack } from './network/resource-stack.ts';

const resources = new ResourceStack();
let network: AtNetwork;
let plane: Plane;

beforeAll(async () => {
  const postgresUrl = inject('postgresUrl');
  const appViewCount = httpVersions.length;
  network = await AtNetwork.start({ postgresUrl, bsyncSchema: 'appview_bsync', appViewCount });
  resources.defer(() => network.close());
  plane = resources.use(await startPlaneUnderTest(network, 'appview'));
});

afterAll(async () => {
  await resources[Symbol.asyncDispose]();
});

describe.each([...httpVersions.entries()])('the official AppView (%i) over HTTP/%s', (index, httpVersion) => {
  const subject = {} as TestSubject;
  beforeAll(async () => {
    const appView = await startAppView(network, network.appViews[index]!, plane, httpVersion);
    resources.use(appView);
    const scenario = await writeScenario(network, `h${index}-`);
    const reader = new AppViewReader(appView, scenario);
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
