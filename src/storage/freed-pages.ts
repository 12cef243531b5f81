/**
 * Keeps a file from growing by what large transactions free.
 *
 * LMDB copies each page that a transaction changes, and gives the old one out again only in the
 * second transaction after that, so that a file holds the old pages of two. A transaction that
 * changes nothing, after a large one, makes the pages of that one free for the next.
 */
import type { RootDatabase, TransactionFlags } from 'lmdb';
import { asStorageError } from './disk-room.ts';

/** The library counts pages that it writes. Its type declarations lack the option. */
export const countingPages: object = { trackMetrics: true };

/** Pages from which a transaction is large, and takes 10 ms or more; the one after it 0.4 ms. */
const largePagesMin = 256;
/** What frees less of its file is left. */
const filePagesPerPage = 64;

/** Of a row that is never there. */
const key = Buffer.from('freed-pages');
const synchronous = 2;

/** `pagesWritten` is missing where the file was opened before without the option. */
type Counts = { readonly pagesWritten?: number; readonly lastPageNumber: number };

/** LMDB leaves out a transaction that has written no page, so this writes one. */
function commitNothing(root: RootDatabase<Buffer, Buffer>): void {
  root.transactionSync(() => {
    void root.put(key, key);
    void root.remove(key);
  }, synchronous as TransactionFlags);
}

export class FreedPages {
  #pagesWritten = 0;

  /**
   * Makes what the last transaction of an environment has freed free for its next.
   *
   * Call it after each. What readers of earlier states hold stays theirs. Does nothing on a full
   * disk, of which the next transaction says so.
   */
  release(root: RootDatabase<Buffer, Buffer>, path: string): void {
    const { pagesWritten = 0, lastPageNumber } = root.getStats() as Counts;
    const pages = pagesWritten - this.#pagesWritten;
    this.#pagesWritten = pagesWritten;
    if (pages < Math.max(largePagesMin, lastPageNumber / filePagesPerPage)) return;
    try {
      commitNothing(root);
    } catch (thrown) {
      if (asStorageError(thrown, path) === thrown) throw thrown;
    }
  }
}
