/**
 * The rows of the tables of reads: a call's name, and how it is decoded, run and encoded.
 *
 * A new read needs a row in the table of its topic, and the function that the row runs.
 */
import { decodeMessage, encodeMessage } from '../../proto/codec.ts';
import { asBuffer } from '../../proto/fields.ts';
import type { MessageByName, MessageName, MethodName } from '../../proto/generated/bsky-service.ts';
import { MessageWriter } from '../../proto/message-writer.ts';
import type { MessageInput } from '../../proto/schema.ts';
import type { CallHandler } from '../../wire/node-caller.ts';
import { readCall } from '../../wire/node-calls.ts';
import { markPartial } from '../../wire/partial-answer.ts';
import type { SlicedRead } from '../lookup/turn.ts';
import { prefetching, prefetchRows, type RowKey } from './prefetch.ts';
import type { ReadContext } from './read-context.ts';

export type ReadRow = { readonly call: string; readonly handlerFor: (context: ReadContext) => CallHandler };

/** A method whose messages are named `<Method>Request` and `<Method>Response`. */
export type PlainMethod = {
  [Method in MethodName]: `${Method}Request` | `${Method}Response` extends MessageName ? Method : never;
}[MethodName];

type RequestOf<Method extends PlainMethod> = MessageByName[`${Method}Request`];

/** A read with its own decoder, function and encoder. */
export function read<Request, Result>(
  call: string,
  decode: (payload: Uint8Array) => Request,
  run: (context: ReadContext, request: Request) => Result,
  encode: (result: Result) => Uint8Array,
): ReadRow {
  return { call, handlerFor: (context) => (payload) => encode(run(context, decode(payload))) };
}

/** A method whose answer is encoded from an object. */
export function readMessage<Method extends PlainMethod>(
  method: Method,
  run: (context: ReadContext, request: RequestOf<Method>) => MessageInput<MessageByName[`${Method}Response`]>,
): ReadRow {
  return read(
    readCall(method),
    (payload) => decodeMessage(`${method}Request`, payload),
    run,
    (result) => encodeMessage(`${method}Response`, result),
  );
}

/** A method whose answer is written field by field. */
export function writtenMessage<Method extends PlainMethod>(
  method: Method,
  write: (into: MessageWriter, context: ReadContext, request: RequestOf<Method>) => void,
): ReadRow {
  return read(
    readCall(method),
    (payload) => decodeMessage(`${method}Request`, payload),
    (context, request) => {
      write(context.answer.clear(), context, request);
      return context.answer.view();
    },
    (answer) => answer,
  );
}

/** Writes an answer, yielding when the turn is over; the request's memory is reused by then. */
export type SlicedWriter = (into: MessageWriter, context: ReadContext, request: Buffer) => SlicedRead<void>;

function* slicedAnswer(write: SlicedWriter, context: ReadContext, request: Buffer): SlicedRead<Buffer> {
  const into = context.idleWriters.pop() ?? new MessageWriter();
  yield* write(into.clear(), context, request);
  context.idleWriters.push(into);
  return into.view();
}

/** A read that may take several turns. The rows that `keysOf` yields may be prefetched. */
export function sliced(
  call: string,
  write: SlicedWriter,
  keysOf?: (context: ReadContext, request: Buffer) => Iterable<RowKey>,
): ReadRow {
  return {
    call,
    handlerFor: (context) => {
      const { slices, prefetchReads } = context;
      if (keysOf === undefined || !prefetchReads) {
        return (payload, { deadlineMs }) => slices.run(slicedAnswer(write, context, asBuffer(payload)), deadlineMs);
      }
      return async (payload, { deadlineMs }) => {
        const request = Buffer.from(payload);
        await prefetchRows(keysOf(context, request));
        return Buffer.from(await slices.run(slicedAnswer(write, context, request), deadlineMs));
      };
    },
  };
}

/**
 * Answers the items of a request in order. Returns how many, if it ended before the last since its
 * turn was over or the answer large enough; else null.
 */
export type ItemsWriter = (into: MessageWriter, context: ReadContext, request: Buffer) => number | null;

/** A by-item read, whose answer may be partial. The rows that `keysOf` yields may be prefetched. */
export function byItem(
  call: string,
  write: ItemsWriter,
  keysOf?: (context: ReadContext, request: Buffer) => Iterable<RowKey>,
): ReadRow {
  return writtenBytes(
    call,
    (into, context, request) => {
      context.turn.begin();
      const answered = write(into, context, request);
      if (answered !== null) markPartial(into, answered);
    },
    keysOf,
  );
}

/** A read straight from the request's bytes. The rows that `keysOf` yields may be prefetched. */
export function writtenBytes(
  call: string,
  write: (into: MessageWriter, context: ReadContext, request: Buffer) => void,
  keysOf?: (context: ReadContext, request: Buffer) => Iterable<RowKey>,
): ReadRow {
  return {
    call,
    handlerFor: (context) => {
      const run = (request: Buffer): Buffer => {
        write(context.answer.clear(), context, request);
        return context.answer.view();
      };
      if (keysOf === undefined) return (payload) => run(asBuffer(payload));
      return prefetching(context, run, (request) => keysOf(context, request));
    },
  };
}
