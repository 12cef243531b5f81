/** Small files that must survive a power cut. */
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import type * as v from 'valibot';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { readShape } from '../config/json-shape.ts';

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

/** Replaces a file as a whole. Returns when it is on disk. */
export function writeDurably(path: string, text: string): void {
  const newPath = `${path}.new`;
  const file = openSync(newPath, 'w', 0o600);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(newPath, path);
  syncFolder(dirname(path));
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
