/** Which errors of a transaction say that storage failed, rather than what used it. */
import { DataPlaneError } from '../base/data-plane-error.ts';

/** The disk is full at commit (ENOSPC, or EIO where LMDB hides it), or the map is. */
export const fullCodes: ReadonlySet<unknown> = new Set([28, 'ENOSPC', -30792]);
export const brokenDiskCodes: ReadonlySet<unknown> = new Set([5, 'EIO']);
/**
 * Codes of LMDB from MDB_PAGE_NOTFOUND (-30797) to MDB_BAD_DBI (-30780), which say that the file or
 * its use is broken. MDB_BAD_VALSIZE is not among them: a key that is too long is a defect of ours.
 */
const [lmdbCodeMin, lmdbCodeMax, badValueSize] = [-30797, -30780, -30781];
/**
 * Pages are not as they must be: MDB_PAGE_NOTFOUND, MDB_CORRUPTED, MDB_PANIC, MDB_INVALID,
 * MDB_CURSOR_FULL, MDB_PAGE_FULL, MDB_INCOMPATIBLE and MDB_BAD_TXN.
 */
const damagedCodes: ReadonlySet<unknown> = new Set([-30797, -30796, -30795, -30793, -30787, -30786, -30784, -30782]);
/** Of the system: no memory, no access, busy, read-only. */
const systemCodes: ReadonlySet<unknown> = new Set([11, 12, 13, 16, 30]);

/**
 * Returns whether storage failed, rather than what used it: a full map or disk, an I/O error, a
 * damaged file. What this denies is a defect of the code that ran in the transaction.
 */
export function isStorageFailure(thrown: unknown): boolean {
  if (thrown instanceof DataPlaneError) return thrown.code === 'StorageFull';
  if (!(thrown instanceof Error) || thrown instanceof DOMException || !('code' in thrown)) return false;
  const { code } = thrown;
  if (fullCodes.has(code) || brokenDiskCodes.has(code) || systemCodes.has(code)) return true;
  return typeof code === 'number' && code >= lmdbCodeMin && code <= lmdbCodeMax && code !== badValueSize;
}

/** Returns whether the pages of a file were found damaged. Not all damage is found so. */
export function isDamagedFile(thrown: unknown): boolean {
  return thrown instanceof Error && 'code' in thrown && damagedCodes.has(thrown.code);
}
