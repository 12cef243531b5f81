/** Builds what follows labelers: for each, its subscription and what its labels pass. */

import type { LabelsEvent } from '../atproto/label-event.ts';
import type { LogAppender } from '../log/log-appender.ts';
import { labelsStream } from './event-stream.ts';
import { type LabelDrop, LabelRouter, type LabelRouterOptions } from './label-router.ts';
import { Labeler, type LabelerOptions } from './labeler.ts';
import { SourceTrust } from './source-trust.ts';
import { Subscription, type SubscriptionOptions } from './subscription.ts';

type Options = Pick<LabelerOptions, 'resolver' | 'fetch'> &
  Pick<LabelRouterOptions, 'isClockBehind'> &
  Pick<SubscriptionOptions<LabelsEvent>, 'state' | 'clock' | 'random' | 'counters' | 'note'> & {
    readonly appender: LogAppender;
    /** DIDs, and origins of services. */
    readonly labelers: readonly string[];
  };

/** One labeler that is followed. */
export type FollowedLabeler = {
  readonly labeler: Labeler;
  readonly router: LabelRouter;
  readonly subscription: Subscription<LabelsEvent>;
};

/** Labels are state: without a stored cursor a stream is read from its beginning. */
const startSeq = 0;

function followed(source: string, options: Options, signal: AbortSignal): FollowedLabeler {
  const { appender } = options;
  const labeler = new Labeler({ ...options, source });
  const { name } = labeler;
  const trust = new SourceTrust({ name, pds: null, mode: 'all', lagMsMax: Number.POSITIVE_INFINITY, salt: 0 });
  const drop = (reason: LabelDrop, did: string | null): void => subscription.drop(reason, did);
  const router = new LabelRouter({ ...options, labeler, trust, drop, signal });
  const own = { stream: labelsStream, name, url: labeler.did === null ? source : '', startSeq, trust };
  const subscription = new Subscription(
    {
      ...options,
      ...own,
      locate: () => labeler.locate(),
      route: (event) => router.route(event),
      routeRefused: () => null,
      waitForCapacity: () => router.waitForCapacity() ?? (appender.hasCapacity ? null : appender.waitForCapacity()),
    },
    signal,
  );
  return { labeler, router, subscription };
}

/** Creates what follows each labeler. */
export function followLabelers(options: Options, signal: AbortSignal): readonly FollowedLabeler[] {
  return options.labelers.map((source) => followed(source, options, signal));
}
