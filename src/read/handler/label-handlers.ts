/** Reads of labels and labelers. */
import { decodeLabelersPosition } from '../../wire/labelers-page.ts';
import { decodeTexts, encodeTexts } from '../../wire/message.ts';
import { nodeCalls } from '../../wire/node-calls.ts';
import { writeLabelers } from '../answer/labelers.ts';
import { labelKeys, labelsOfSubject, writeLabels } from '../answer/labels.ts';
import { byItem, type ReadRow, read, sliced } from './read-row.ts';

export const labelReads: readonly ReadRow[] = [
  byItem(nodeCalls.labels, writeLabels, labelKeys),
  read(nodeCalls.labelsOf, decodeTexts, ({ lookup }, [uri = '']) => labelsOfSubject(lookup, uri), encodeTexts),
  sliced(nodeCalls.labelers, (into, { lookup, turn }, request) =>
    writeLabelers(into, lookup, decodeLabelersPosition(request), turn),
  ),
];
