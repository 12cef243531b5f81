/**
 * One connection to the NATS server that holds the log; it ends with the connection.
 *
 * Owns: the streams, which it makes where they are missing, and the checks at each connect. A
 * stream refuses what it has no room for, and drops nothing by itself: what is dropped is decided
 * by those who read.
 */
import type { JetStreamClient, JetStreamManager, StoredMsg, StreamInfo } from '@nats-io/jetstream';
import {
  DiscardPolicy,
  JetStreamApiError,
  jetstream,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
} from '@nats-io/jetstream';
import { type ConnectionOptions, connect, credsAuthenticator, type NatsConnection } from '@nats-io/transport-node';
import { systemClock } from '../base/clock.ts';
import { DataPlaneError } from '../base/data-plane-error.ts';
import type { ShardMap } from '../shardmap/shard-map.ts';
import { entryBytesMax } from './entry-limit.ts';
import {
  type Delivery,
  headersOf,
  type LogMessage,
  messageOf,
  type PublishOptions,
  type ReceivedMessage,
  received,
  type SplitNote,
  splitHeaders,
  splitNoteOf,
} from './log-message.ts';
import { type LogServer, readLogCredentials, type ServerFacts, type StreamLimits } from './log-server.ts';
import { type LogStream, streamOfSlot, streamsOf, subjectOfSlot, subjectOfSplits } from './log-streams.ts';
import { encryptionError, encryptionFor } from './log-tls.ts';
import { SilenceWatch } from './silence-watch.ts';

/** What a stream is; another `created` means another stream of the same name. */
export type StreamState = { readonly name: string; readonly created: string; readonly lastSeq: number };

/** `bytesMax` is infinite for a stream without a limit. */
export type StreamUse = { readonly bytes: number; readonly bytesMax: number };

type MessageQuery = { seq: number; next_by_subj?: string } | { last_by_subj: string };

/** Where reading begins: at a seq, or after a time. */
export type ReadStart = { readonly seq: number } | { readonly afterMs: number };

/** Messages of one slot, in order, and how many of them are not taken yet. */
export type MessageStream = AsyncIterable<ReceivedMessage> & { pending(): Promise<number>; close(): void };

export type ReadOptions = {
  /** What messages go through before they count as received. */
  readonly filter?: (messages: AsyncIterable<ReceivedMessage>) => AsyncIterable<ReceivedMessage>;
  /** Called whenever the server sends a message, or says that there is none. */
  readonly onHeard?: () => void;
};

const connectMsMax = 5_000;
const requestMsMax = 5_000;
/** A server that answers no ping for two of these is lost. */
const pingEveryMs = 3_000;
/** Headers, subject, and what the server adds. */
const messageOverheadBytes = 1_024;
/** Messages that a slot's reader asks for at a time. */
const readAheadMessages = 64;
/** How often the server says, of a log that it has no more of, that it still looks. */
const heartbeatMs = 1_000;
/** For so long a request for messages holds; a lost one is made again after it. */
const requestHoldsMs = 5_000;
/** No room in the stream, or on the server. */
const fullCodes: ReadonlySet<number> = new Set([10_077, 10_023, 10_047]);
const streamNotFoundCode = 10_059;
/** When a server says that it made a stream that it is still making, for another connection. */
const notMadeYet = '0001-01-01';
const makeMsMax = 2_000;
const lookAgainMs = 20;
/** Of what a stream may hold: beyond, replicas are left behind. */
const nearlyFullShare = 0.75;

/** Errors: DataPlaneError `ConfigInvalid`. */
function authentication(credentialsFile: string | null): ConnectionOptions {
  if (credentialsFile === null) return {};
  const given = readLogCredentials(credentialsFile);
  if (given.kind === 'creds') return { authenticator: credsAuthenticator(given.bytes) };
  return given.kind === 'token' ? { token: given.token } : { user: given.user, pass: given.password };
}

function failure(doing: string, thrown: unknown): DataPlaneError {
  if (thrown instanceof DataPlaneError) return thrown;
  const { message } = thrown as Error;
  const isFull = thrown instanceof JetStreamApiError && fullCodes.has(thrown.code);
  return new DataPlaneError(isFull ? 'ResourceExhausted' : 'Unavailable', `${doing}: ${message}`, { cause: thrown });
}

function stateOf({ config, created, state }: StreamInfo): StreamState {
  return { name: config.name, created: String(created), lastSeq: state.last_seq };
}

export class LogSession {
  readonly #connection: NatsConnection;
  readonly #client: JetStreamClient;
  readonly #manager: JetStreamManager;
  readonly #map: ShardMap;
  readonly #url: string;
  readonly #streamByName = new Map<string, StreamState>();
  /** The fewest copies that one of the streams has. */
  #copies = Number.POSITIVE_INFINITY;
  readonly #ended = new AbortController();
  /** The largest chunk that one message takes. */
  readonly chunkBytesMax: number;

  private constructor(url: string, connection: NatsConnection, manager: JetStreamManager, map: ShardMap) {
    this.#url = url;
    this.#connection = connection;
    this.#manager = manager;
    this.#client = jetstream(connection, { timeout: requestMsMax });
    this.#map = map;
    this.chunkBytesMax = connection.info!.max_payload - messageOverheadBytes;
    void connection.closed().then(() => this.#ended.abort());
  }

  /**
   * Connects to one of the server's URLs, and makes streams that are missing.
   *
   * Errors: DataPlaneError `Unavailable`, also where a stream is missing that others make;
   * `ConfigInvalid` for credentials that cannot be read, or a server that entries do not fit.
   */
  static async open(server: LogServer, url: string, map: ShardMap): Promise<LogSession> {
    const connection = await connect({
      servers: url,
      name: 'skyshard',
      reconnect: false,
      timeout: connectMsMax,
      pingInterval: pingEveryMs,
      maxPingOut: 2,
      ...authentication(server.credentialsFile),
      ...encryptionFor(server.caFile ?? null, url),
    }).catch((thrown: unknown) => {
      throw encryptionError(url, thrown) ?? failure(`no connection to ${url}`, thrown);
    });
    try {
      const manager = await jetstreamManager(connection, { timeout: requestMsMax });
      const session = new LogSession(url, connection, manager, map);
      if (session.chunkBytesMax < entryBytesMax) {
        const found = `${url} takes messages of ${connection.info!.max_payload} bytes`;
        throw new DataPlaneError('ConfigInvalid', `${found}, and an entry may have ${entryBytesMax}`, {
          hint: 'Set `max_payload: 8MB` in the configuration of nats-server, and restart it.',
        });
      }
      const streams = streamsOf(map);
      for (const stream of streams) await session.#openStream(stream, server.streams, streams.length);
      return session;
    } catch (thrown) {
      await connection.close();
      throw failure(url, thrown);
    }
  }

  async #openStream({ name, subjects }: LogStream, limits: StreamLimits | null, streamCount: number): Promise<void> {
    const info = await this.#infoOf(name).catch(async (thrown: unknown) => {
      if (!(thrown instanceof JetStreamApiError) || thrown.code !== streamNotFoundCode) throw thrown;
      if (limits === null)
        throw new DataPlaneError('Unavailable', `the stream ${name} is not there: no node has started yet`);
      await this.#manager.streams.add({
        name,
        subjects: [subjects],
        storage: StorageType.File,
        retention: RetentionPolicy.Limits,
        discard: DiscardPolicy.New,
        max_bytes: Math.floor(limits.bytesMax / streamCount),
        num_replicas: limits.copies,
      });
      return this.#infoOf(name);
    });
    this.#streamByName.set(name, stateOf(info));
    this.#copies = Math.min(this.#copies, info.config.num_replicas);
  }

  /**
   * Returns what a stream is, once it is made. Nodes that start together all make it, and to those
   * that come second the server may say no time yet by which it is known. Kept with positions, that
   * would make of it another stream at the next connect.
   */
  async #infoOf(name: string): Promise<StreamInfo> {
    const endMs = systemClock.monotonicMs() + makeMsMax;
    for (;;) {
      const info = await this.#manager.streams.info(name);
      if (!info.created.startsWith(notMadeYet)) return info;
      if (systemClock.monotonicMs() > endMs)
        throw new DataPlaneError('Unavailable', `the server is still making the stream ${name}`);
      await systemClock.sleep(lookAgainMs, this.#ended.signal);
    }
  }

  /** What this connection has shown of the server. */
  get facts(): ServerFacts {
    return { url: this.#url, version: this.#connection.info!.version, copies: this.#copies };
  }

  /** Aborted once the connection is lost. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  subjectOf(slot: number): string {
    return subjectOfSlot(this.#map, slot);
  }

  /** The stream of a slot, as it was at the connect, or when `lookAtStream` was called last. */
  streamOf(slot: number): StreamState {
    return this.#streamByName.get(streamOfSlot(this.#map, slot).name)!;
  }

  /** Asks the server what the stream of a slot is now. */
  async lookAtStream(slot: number): Promise<void> {
    const { name } = this.streamOf(slot);
    try {
      this.#streamByName.set(name, stateOf(await this.#infoOf(name)));
    } catch (thrown) {
      throw failure(`the log of slot ${slot}`, thrown);
    }
  }

  /** Returns the seq in the stream once the server has it. Errors: DataPlaneError. */
  async publish(slot: number, bytes: Uint8Array, options: PublishOptions = {}): Promise<number> {
    const expect = options.isFirst || options.mustBeFirst ? { expect: { lastSubjectSequence: 0 } } : {};
    const sent = { headers: headersOf(options), ...expect };
    try {
      const { seq } = await this.#client.publish(subjectOfSlot(this.#map, slot), bytes, sent);
      return seq;
    } catch (thrown) {
      throw failure(`the log of slot ${slot}`, thrown);
    }
  }

  /** Notes that a slot splits, and is one of `slots` then. Returns once the server has that. */
  async noteSplit(slot: number, slots: number): Promise<void> {
    const sent = { headers: splitHeaders(slot, slots) };
    try {
      await this.#client.publish(subjectOfSplits(this.#map, slot), Buffer.alloc(0), sent);
    } catch (thrown) {
      throw failure(`the split of slot ${slot}`, thrown);
    }
  }

  /** Returns the first note of a split after a seq, exclusive, in the stream of a slot; or null. */
  async splitAfter(slot: number, seq: number): Promise<SplitNote | null> {
    const stored = await this.#stored(slot, { seq: seq + 1, next_by_subj: subjectOfSplits(this.#map, slot) });
    return stored === null ? null : splitNoteOf(stored);
  }

  /** Returns the message at a seq, or null where there is none. */
  messageAt(slot: number, seq: number): Promise<LogMessage | null> {
    return this.#message(slot, { seq });
  }

  /** Returns the first message of a slot that the stream still has. */
  firstOf(slot: number): Promise<LogMessage | null> {
    return this.messageAfter(slot, 0);
  }

  /** Returns the first message of a slot after a seq, exclusive, or null where there is none. */
  messageAfter(slot: number, seq: number): Promise<LogMessage | null> {
    return this.#message(slot, { seq: seq + 1, next_by_subj: subjectOfSlot(this.#map, slot) });
  }

  /** Returns the seq of the last message of a slot; 0 where there is none. */
  async lastSeqOf(slot: number): Promise<number> {
    return (await this.#message(slot, { last_by_subj: subjectOfSlot(this.#map, slot) }))?.seq ?? 0;
  }

  async #message(slot: number, query: MessageQuery): Promise<LogMessage | null> {
    return messageOf(await this.#stored(slot, query));
  }

  async #stored(slot: number, query: MessageQuery): Promise<StoredMsg | null> {
    try {
      return await this.#manager.streams.getMessage(this.streamOf(slot).name, query);
    } catch (thrown) {
      throw failure(`the log of slot ${slot}`, thrown);
    }
  }

  /** Reads the messages of a slot, until it is closed or the connection is lost. */
  async read(slot: number, start: ReadStart, { filter, onHeard }: ReadOptions = {}): Promise<MessageStream> {
    const from =
      'seq' in start ? { opt_start_seq: start.seq } : { opt_start_time: new Date(start.afterMs + 1).toISOString() };
    const options = { filter_subjects: subjectOfSlot(this.#map, slot), ...from };
    try {
      const consumer = await this.#client.consumers.get(this.streamOf(slot).name, options);
      const messages = await consumer.consume({
        max_messages: readAheadMessages,
        idle_heartbeat: heartbeatMs,
        expires: requestHoldsMs,
      });
      const all = received(new SilenceWatch(messages, onHeard).heard());
      let last: Delivery = { consumer: '', sequence: 0 };
      async function* counted(): AsyncGenerator<ReceivedMessage> {
        for await (const message of filter?.(all) ?? all) {
          last = message.delivery;
          yield message;
        }
      }
      const iterator = counted();
      return {
        [Symbol.asyncIterator]: () => iterator,
        // The client's own count of what it holds also counts its notices.
        pending: async () => {
          const { name, num_pending, delivered } = await consumer.info();
          const receivedCount = name === last.consumer ? last.sequence : 0;
          return num_pending + Math.max(0, delivered.consumer_seq - receivedCount);
        },
        close: () => messages.stop(),
      };
    } catch (thrown) {
      throw failure(`the log of slot ${slot}`, thrown);
    }
  }

  /** True when the stream of a slot has little room left. */
  async isNearlyFull(slot: number): Promise<boolean> {
    const { bytes, bytesMax } = await this.useOf(slot);
    return bytes > nearlyFullShare * bytesMax;
  }

  /** Returns how much of the stream of a slot is in use. */
  async useOf(slot: number): Promise<StreamUse> {
    try {
      const { config, state } = await this.#manager.streams.info(this.streamOf(slot).name);
      const bytesMax = config.max_bytes > 0 ? config.max_bytes : Number.POSITIVE_INFINITY;
      return { bytes: state.bytes, bytesMax };
    } catch (thrown) {
      throw failure(`the log of slot ${slot}`, thrown);
    }
  }

  /** Removes the messages of a slot before `seq`, exclusive. */
  async purge(slot: number, seq: number): Promise<void> {
    // There is none before the first; asked to remove those, the server removes all.
    if (seq <= 1) return;
    try {
      await this.#manager.streams.purge(this.streamOf(slot).name, { filter: subjectOfSlot(this.#map, slot), seq });
    } catch (thrown) {
      throw failure(`the log of slot ${slot}`, thrown);
    }
  }

  /** Resolves once the server has answered a ping; with false once the connection is lost. */
  isHeard(): Promise<boolean> {
    return this.#connection.flush().then(
      () => true,
      () => false,
    );
  }

  /** Resolves once the connection is lost. */
  async untilEnded(): Promise<void> {
    await this.#connection.closed();
  }

  async close(): Promise<void> {
    await this.#connection.close();
  }
}
