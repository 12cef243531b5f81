/** Which methods of the data plane the AppViews of these tests have called. */
import { expect, inject, it } from 'vitest';
import type { AppView } from '../network/app-view.ts';

/** Writes that the AppView leaves to bsync. */
const throughBsync = [
  ...['clearActorMutelistSubscriptions', 'clearActorMutes', 'clearThreadMutes', 'createActorMute'],
  ...['createActorMutelistSubscription', 'createThreadMute', 'deleteActorMute', 'deleteActorMutelistSubscription'],
  ...['deleteThreadMute', 'updateNotificationSeen'],
];

/** The AppView has no call of these. */
const unused = [
  ...['getActorMutesActor', 'getActorMutesActorViaList', 'getActorReposts', 'getActorTakedown', 'getAllLabelers'],
  ...['getBidirectionalBlock', 'getBidirectionalBlockViaList', 'getFeedGeneratorStatus', 'getIdentityByHandle'],
  ...['getLikesBySubject', 'getListBlockRecords', 'getListCount', 'getNewUserCountForRange', 'getProfileRecords'],
  ...['getRecordTakedown', 'getVerificationsIssued', 'getVerificationsReceived', 'updateActorUpstreamStatus'],
];

/** Declares that the tests before it reach every method that an AppView calls. */
export function callTests(appViews: readonly AppView[]): void {
  // It serves no sitemaps and no records of site.standard.
  it.skipIf(inject('planeName') === 'official')('have called every method but those that no AppView calls', () => {
    const called = (method: string): boolean => appViews.some(({ planeCalls }) => planeCalls.get(method)! > 0);
    const never = [...appViews[0]!.planeCalls.keys()].filter((method) => !called(method));
    expect(never.sort()).toEqual([...throughBsync, ...unused].sort());
  });
}
