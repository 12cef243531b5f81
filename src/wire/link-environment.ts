/** What a link to a node is given, and what it reports. */
import type { Clock } from '../base/clock.ts';
import type { SeededRandom } from '../base/seeded-random.ts';

/** What bounds a link. All have defaults in `linkLimitDefaults`. */
export type LinkLimits = {
  /** Calls that wait for their answers. */
  readonly callsInFlightMax: number;
  /** Request payloads of calls that wait, and bytes that the socket has not taken yet. */
  readonly bytesInFlightMax: number;
  /** A call made while the link connects waits no longer than this for it. */
  readonly connectMsMax: number;
  /** A connection that is silent for so long, pings included, is given up. */
  readonly silenceMsMax: number;
};

/** Bounds that suit routers, nodes and ingest alike. */
export const linkLimitDefaults: LinkLimits = {
  callsInFlightMax: 32_768,
  bytesInFlightMax: 128 * 1024 * 1024,
  connectMsMax: 1000,
  silenceMsMax: 10_000,
};

/** What all links of a client share. */
export type LinkEnvironment = {
  readonly clock: Clock;
  readonly random: SeededRandom;
  readonly limits: LinkLimits;
  /** The epoch that outgoing frames carry. */
  readonly epoch: () => number;
  /** Called with the epoch of an incoming frame when it is another one. */
  readonly onOtherEpoch: (node: string, epoch: number) => void;
  readonly clusterToken: string | null;
  /**
   * PEM of the certificates that are trusted, and nothing else is; null when the nodes speak
   * plainly.
   */
  readonly trustedCertificates: Buffer | null;
};

const linkStates = ['idle', 'connecting', 'open', 'down', 'closed'] as const;
/** Where a link is between its first call and its close; `down` fails calls at once. */
export type LinkState = (typeof linkStates)[number];

/** What an operator sees of a link. */
export type LinkSnapshot = {
  readonly state: LinkState;
  readonly isBreakerOpen: boolean;
  readonly callsInFlight: number;
  readonly bytesInFlight: number;
  readonly connectCount: number;
  readonly callCount: number;
  readonly timeoutCount: number;
  readonly lateAnswerCount: number;
  readonly sentMessageCount: number;
  readonly sentBytes: number;
  readonly receivedBytes: number;
};
