/** Entry point of a search thread: answers queries one after the other. */
import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../base/clock.ts';
import { DataPlaneError, toDataPlaneError } from '../base/data-plane-error.ts';
import { searchAnswer, searchRequest } from '../wire/search-messages.ts';
import { SearchReader } from './search-reader.ts';
import type { FromSearchThreads, SearchThreadOptions, ToSearchThread } from './search-thread-messages.ts';

function post(message: FromSearchThreads, transfer: ArrayBuffer[] = []): void {
  parentPort!.postMessage(message, transfer);
}

function run(options: SearchThreadOptions): void {
  const reader = new SearchReader({ ...options, clock: systemClock, onDamage: () => post({ type: 'damaged' }) });

  function answer(id: number, payload: Uint8Array): void {
    try {
      const value = new Uint8Array(searchAnswer.encode(reader.find(searchRequest.decode(payload))));
      post({ type: 'answered', id, value }, [value.buffer]);
    } catch (thrown) {
      if (!(thrown instanceof DataPlaneError)) throw thrown;
      const { code, message } = toDataPlaneError(thrown);
      post({ type: 'failed', id, code, message });
    }
  }

  parentPort!.on('message', (message: ToSearchThread) => {
    switch (message.type) {
      case 'query':
        return answer(message.id, message.payload);
      case 'reopen':
        return reader.reopen();
      case 'refresh':
        return reader.refresh();
      case 'primaries':
        return reader.usePrimaries(message.primaries, message.slots);
      case 'places':
        return void reader.usePlaces(message).then(() => post({ type: 'answered', id: message.id, value: null }));
      case 'close':
        return void reader.close().then(() => parentPort!.close());
    }
  });
}

run(workerData as SearchThreadOptions);
