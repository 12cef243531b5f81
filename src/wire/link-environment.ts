/** What links to nodes share: their limits, dependencies, states, and snapshots for operators. */
import type { Clock } from '../base/clock.ts';
import type { SeededRandom } from '../base/seeded-random.ts';
import type { SilenceLimits } from './silence.ts';

export type LinkLimits = SilenceLimits & {
  /** Calls that wait for their answers. */
  readonly callsInFlightMax: number;
  /** Of the requests that wait for their answers, and of the socket's send buffer. */
  readonly bytesInFlightMax: number;
  /** How long a call waits for the link to connect. */
  readonly connectMsMax: number;
  /** A connection that is silent for longer, despite pings, is dropped. */
  readonly silenceMsMax: number;
};

/** Suits routers, nodes and ingest. */
export const linkLimitDefaults: LinkLimits = {
  callsInFlightMax: 32_768,
  bytesInFlightMax: 128 * 1024 * 1024,
  connectMsMax: 1000,
  silenceMsMax: 10_000,
  quietMsMax: 1_000,
  pongMsMax: 1_000,
};

/** Shared by all links of a client. */
export type LinkEnvironment = {
  readonly clock: Clock;
  readonly random: SeededRandom;
  readonly limits: LinkLimits;
  /** The epoch that outgoing frames carry. */
  readonly epoch: () => number;
  /** Called for an incoming frame of another epoch. */
  readonly onOtherEpoch: (node: string, epoch: number) => void;
  /** Called when a link is lost for another reason than the last time. */
  readonly onProblem: (node: string, problem: string) => void;
  readonly clusterToken: string | null;
  /** PEM of the only certificates that are trusted; null for cleartext. */
  readonly trustedCertificates: Buffer | null;
};

const linkStates = ['idle', 'connecting', 'open', 'down', 'closed'] as const;
/** A link is `idle` until its first call; one that is `down` fails calls at once. */
export type LinkState = (typeof linkStates)[number];

/** How the bytes of a link travel. */
export type Transport = 'tcp' | 'unix';

export type LinkSnapshot = {
  readonly state: LinkState;
  /** Null unless it is open. */
  readonly transport: Transport | null;
  readonly isBreakerOpen: boolean;
  readonly breakerOpenings: number;
  /** Calls that an open breaker admitted, one for each pause. */
  readonly breakerTrials: number;
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
