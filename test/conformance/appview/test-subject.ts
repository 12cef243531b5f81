import type { AtNetwork } from '../network/at-network.ts';
import type { AppViewReader } from './app-view-reader.ts';
import type { Scenario } from './scenario.ts';

/** What the tests look at; filled before the first test runs. */
export interface TestSubject {
  network: AtNetwork;
  scenario: Scenario;
  reader: AppViewReader;
  appViewDid: string;
}
