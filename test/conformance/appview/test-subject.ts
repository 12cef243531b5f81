/** What the AppView's tests share: one network, one scenario, one reader. */
import type { AtNetwork } from '../network/at-network.ts';
import type { AppViewReader } from './app-view-reader.ts';
import type { Member, Scenario } from './scenario.ts';

/** What the tests read; filled before the first of them runs. */
export interface TestSubject {
  network: AtNetwork;
  scenario: Scenario;
  reader: AppViewReader<Member>;
  appViewDid: string;
}
