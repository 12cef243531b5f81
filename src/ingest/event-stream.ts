/** The kinds of event streams that are followed, each as what a subscription needs of it. */
import type { LookupFunction } from 'node:net';
import { type AccountsEvent, decodeFirehoseMessage } from '../atproto/firehose-event.ts';
import { decodeLabelMessage, type LabelsEvent } from '../atproto/label-event.ts';
import type { StreamDecoded, StreamNotice } from '../atproto/stream-frame.ts';
import type { TimedEvent } from './ahead-watch.ts';

/** `eventMs` is 0 for an event that says no time. */
export type StreamedEvent = { readonly kind: string; readonly seq: number; readonly eventMs: number };

export type EventStream<Event extends StreamedEvent> = {
  /** The method that streams. */
  readonly nsid: string;
  readonly decode: (message: Uint8Array) => StreamDecoded<Event, string>;
  /** The account of an event, where an event is refused while it is ahead of our clock. */
  readonly timedOf: (event: Event) => TimedEvent | null;
  /** What brings back what is missed of it, as a sentence. */
  readonly bringsBack: string;
};

/** What happens to accounts and their repos. */
export const accountsStream: EventStream<AccountsEvent> = {
  nsid: 'com.atproto.sync.subscribeRepos',
  decode: decodeFirehoseMessage,
  timedOf: (event) => event,
  bringsBack: 'Repos that commit again are fetched by themselves. `skyshard backfill` fetches the others',
};

/** What a labeler says. */
export const labelsStream: EventStream<LabelsEvent> = {
  nsid: 'com.atproto.label.subscribeLabels',
  decode: decodeLabelMessage,
  timedOf: () => null,
  bringsBack: 'Labels that its stream no longer has can be set by `skyshard label add`',
};

/** Where a source is now. Absent: its host is looked up as the operator's own. */
export type StreamLocation =
  | { readonly ok: true; readonly url: string; readonly lookup?: LookupFunction | undefined }
  | { readonly ok: false; readonly problem: string };

/** True for what a source says about its stream. */
export function isNotice<Event extends StreamedEvent>(event: Event | StreamNotice): event is StreamNotice {
  return event.kind === 'info' || event.kind === 'error' || event.kind === 'unknown';
}
