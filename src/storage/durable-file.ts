/** Small files that must survive a power cut. */
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import type * as v from 'valibot';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { readShape } from '../config/json-shape.ts';
import { asStorageError } from './disk-room.ts';

/**
 * Reads a file of JSON. Returns: undefined when there is none.
 *
 * Errors: DataPlaneError `ConfigInvalid` for a file of another shape.
 */
export function readDurable<Shape extends v.GenericSchema>(
  path: string,
  shape: Shape,
): v.InferOutput<Shape> | undefined {
  if (!existsSync(path)) return undefined;
  const fail = (problem: string): never => {
    throw new DataPlaneError('ConfigInvalid', `${path}: ${problem}`);
  };
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (thrown) {
    return fail((thrown as Error).message);
  }
  return readShape(shape, value, fail);
}

/**
 * Replaces a file as a whole. Returns when it is on disk.
 *
 * Errors: DataPlaneError `StorageFull` for a full disk, where the file stays as it was; others.
 */
export function writeDurably(path: string, text: string): void {
  try {
    writeWhole(`${path}.new`, text);
    renameSync(`${path}.new`, path);
    syncFolder(dirname(path));
  } catch (thrown) {
    throw asStorageError(thrown, dirname(path));
  }
}

function writeWhole(path: string, text: string): void {
  const file = openSync(path, 'w', 0o600);
  try {
    // A disk may take a part of it, and no more.
    for (let rest = Buffer.from(text); rest.length > 0; ) rest = rest.subarray(writeSync(file, rest));
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Adds a line to a file. Returns when it is on disk. Errors: as `writeDurably`. */
export function appendDurably(path: string, line: string): void {
  try {
    const file = openSync(path, 'a', 0o600);
    try {
      writeSync(file, line);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  } catch (thrown) {
    throw asStorageError(thrown, dirname(path));
  }
}

/** Brings names in a folder to disk. */
export function syncFolder(path: string): void {
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
