import type { Environment } from '../storage/environment.ts';

/** Bounds of the recommended input of one transaction. Units: bytes. */
const batchBytesMin = 128 * 2 ** 10;
const batchBytesMax = 2 ** 20;
/**
 * A slot's file keeps the pages that one transaction touches as free space. Batches of this share
 * of the file keep that at a sixth of it or less; large slots commit in large batches.
 */
const fileBytesPerBatchByte = 512;

/** Returns the recommended input of one transaction of a slot. Units: bytes. */
export function batchBytesOf({ usedBytes }: Environment): number {
  return Math.min(batchBytesMax, Math.max(batchBytesMin, Math.floor(usedBytes / fileBytesPerBatchByte)));
}
