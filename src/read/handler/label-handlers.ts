/** Reads of labels and labelers. */
import { decodeLabelersPosition } from '../../wire/labelers-page.ts';
import { nodeCalls } from '../../wire/node-calls.ts';
import { writeLabelers } from '../answer/labelers.ts';
import { labelKeys, writeLabels } from '../answer/labels.ts';
import { byItem, type ReadRow, writtenBytes } from './read-row.ts';

export const labelReads: readonly ReadRow[] = [
  byItem(nodeCalls.labels, writeLabels, labelKeys),
  writtenBytes(nodeCalls.labelers, (into, { lookup }, request) =>
    writeLabelers(into, lookup, decodeLabelersPosition(request)),
  ),
];
