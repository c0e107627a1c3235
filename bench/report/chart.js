// @ts-check
import { formatNumber, formatRatio } from './numbers.js';

/** @typedef {import('../suite.js').Result} Result */

const WIDTH = 760;
const LABELS = 240;
const BARS = 352;
/** Where ratios end, beside the rates. */
const RATIOS = 668;
const ROW = 20;
const BAR = 13;
const TOP = 56;
const BETWEEN = 34;
const BOTTOM = 28;

/** Middling: they show on a light and on a dark background. */
const TEXT = '#6e7781';
const OTHERS = '#8c959f';
const OURS = '#2f81f7';
const LINE = '#8c959f';

/**
 * A chart of the throughput: for each size and adapter a bar, messages per second relative to plain `ws`, on a
 * logarithmic scale.
 *
 * @param {Result} result
 * @returns {string} an SVG document
 * @throws Error when there is no throughput in it, or none of plain `ws`
 */
export function renderChart(result) {
  const panels = panelsOf(result);
  if (panels.length === 0) {
    throw new Error('A chart takes the throughput, also that of plain ws: see --only and --adapters.');
  }
  const ratios = panels.flatMap(({ bars }) => bars.map(({ ratio }) => ratio));
  const scale = logarithmicScale(Math.min(...ratios), Math.max(...ratios));
  const parts = [];
  let y = TOP;
  for (const { title, bars } of panels) {
    parts.push(text({ x: 0, y: y - 8, weight: 600 }, title));
    for (const bar of bars) {
      parts.push(...drawBar(bar, y, scale));
      y += ROW;
    }
    y += BETWEEN;
  }
  const end = y - BETWEEN + 6;
  const height = end + BOTTOM;
  const ticks = scale.ticks.flatMap(value => drawTick(value, scale.position(value), end));
  const title = 'Messages per second through a relay, relative to plain ws';
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-labelledby="title"`,
    ` font-family="system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif" font-size="13" fill="${TEXT}">\n`,
    `<title id="title">${escape(title)}</title>\n`,
    text({ x: 0, y: 16, weight: 600 }, `${title} (logarithmic scale; more is better)`),
    ...ticks,
    ...parts,
    '</svg>\n',
  ].join('');
}

/**
 * @typedef {{ name: string, title: string, ratio: number, rate: number }} Bar
 * @param {Result} result
 * @returns {{ title: string, bars: Bar[] }[]}
 */
function panelsOf({ adapters, measurements }) {
  const rows = measurements['throughput'] ?? [];
  const sizes = [...new Set(rows.map(row => row.case['size'] ?? 0))];
  return sizes
    .map(size => ({
      title: `${formatNumber(size, 0)} bytes`,
      bars: rows
        .filter(row => row.case['size'] === size)
        .map(({ adapter, figures }) => ({
          name: adapter,
          title: adapters.find(({ name }) => name === adapter)?.title ?? adapter,
          ratio: figures['rate']?.ratio ?? 0,
          rate: figures['rate']?.median ?? 0,
        }))
        .filter(({ ratio }) => ratio > 0),
    }))
    .filter(({ bars }) => bars.length > 0);
}

/**
 * From a power of ten below the least to one above the most.
 *
 * @param {number} least
 * @param {number} most
 */
function logarithmicScale(least, most) {
  // A bar of the least must still be one.
  const low = Math.floor(Math.log10(least) - 0.05);
  const high = Math.max(Math.ceil(Math.log10(most)), low + 1);
  return {
    ticks: Array.from({ length: high - low + 1 }, (_, index) => 10 ** (low + index)),
    position: (/** @type {number} */ value) => ((Math.log10(value) - low) / (high - low)) * BARS,
  };
}

/**
 * @param {Bar} bar
 * @param {number} y
 * @param {{ position(value: number): number }} scale
 */
function drawBar({ name, title, ratio, rate }, y, scale) {
  const width = scale.position(ratio).toFixed(1);
  const color = name.startsWith('secure-websocket') ? OURS : OTHERS;
  return [
    text({ x: LABELS - 8, y: y + BAR - 2, anchor: 'end' }, title),
    `<rect x="${LABELS}" y="${y}" width="${width}" height="${BAR}" rx="2" fill="${color}"/>\n`,
    text({ x: RATIOS, y: y + BAR - 2, anchor: 'end' }, `${formatRatio(ratio)}×`),
    text({ x: WIDTH, y: y + BAR - 2, anchor: 'end' }, `${formatNumber(rate, rate < 10 ? 1 : 0)}/s`),
  ];
}

/**
 * @param {number} value
 * @param {number} position
 * @param {number} end
 */
function drawTick(value, position, end) {
  const x = (LABELS + position).toFixed(1);
  const dashes = value === 1 ? '' : ' stroke-dasharray="2 4"';
  return [
    `<line x1="${x}" x2="${x}" y1="${TOP - 20}" y2="${end}" stroke="${LINE}" stroke-opacity="0.6"${dashes}/>\n`,
    text(
      { x: Number(x), y: end + 16, anchor: 'middle' },
      `${value >= 1 ? value : Number(value.toPrecision(1))}×`,
    ),
  ];
}

/**
 * @param {{ x: number, y: number, anchor?: string, weight?: number }} place
 * @param {string} content
 */
function text({ x, y, anchor, weight }, content) {
  const attributes = [
    anchor === undefined ? '' : ` text-anchor="${anchor}"`,
    weight === undefined ? '' : ` font-weight="${weight}"`,
  ].join('');
  return `<text x="${x}" y="${y}"${attributes}>${escape(content)}</text>\n`;
}

/** @param {string} content */
function escape(content) {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
