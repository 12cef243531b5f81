/** A heat map of values over time: columns of frames, rows of a logarithmic scale. */
import { duration } from './figures.ts';
import { decadesMax, decadesMin, rows, rowsOfDecade } from './heat-cells.ts';

const marginLeft = 64;
const marginBottom = 20;

/** Draws counts by column and row into a canvas of any size; columns end at these times. */
export function drawHeatMap(
  canvas: HTMLCanvasElement,
  ends: readonly number[],
  cells: readonly (readonly number[])[],
): void {
  const scale = devicePixelRatio;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  canvas.width = width * scale;
  canvas.height = height * scale;
  const context = canvas.getContext('2d')!;
  context.scale(scale, scale);
  context.clearRect(0, 0, width, height);
  const style = getComputedStyle(document.documentElement);
  context.fillStyle = style.getPropertyValue('--faint');
  context.font = '11px system-ui, sans-serif';
  const plotHeight = height - marginBottom;
  const rowHeight = plotHeight / rows;
  for (let decade = Math.ceil(decadesMin); decade <= decadesMax; decade++) {
    const y = plotHeight - (decade - decadesMin) * rowsOfDecade * rowHeight;
    context.fillText(duration(10 ** decade), 4, Math.max(10, y + 3));
    context.fillRect(marginLeft - 4, y, 3, 1);
  }
  const max = Math.max(1, ...cells.flat());
  const columnWidth = (width - marginLeft) / Math.max(1, ends.length);
  const accent = style.getPropertyValue('--accent');
  context.fillStyle = accent;
  cells.forEach((column, index) => {
    column.forEach((count, row) => {
      if (count === 0) return;
      context.globalAlpha = 0.12 + 0.88 * (Math.log1p(count) / Math.log1p(max));
      const y = plotHeight - (row + 1) * rowHeight;
      context.fillRect(marginLeft + index * columnWidth, y, Math.ceil(columnWidth), Math.ceil(rowHeight));
    });
  });
  context.globalAlpha = 1;
  context.fillStyle = style.getPropertyValue('--faint');
  const labels = Math.min(6, Math.floor((width - marginLeft) / 90));
  for (let label = 0; label < labels && ends.length > 0; label++) {
    const index = Math.floor((label * (ends.length - 1)) / Math.max(1, labels - 1));
    const text = new Date(ends[index]!).toLocaleTimeString('en', { hour12: false });
    const x = Math.min(width - 52, marginLeft + index * columnWidth);
    context.fillText(text, x, height - 6);
  }
}
