// The headers of a packet, each to be opened: its fields, what they were at the place before, and its bytes.
import { code, hidden, markup, type Markup } from './markup.ts'
import { type Station } from './ladder.ts'
import { kindOf, nameOf } from './stack.ts'

type Layer = Station['layers'][number]

const bytesPerLine = 16

function valueOf({ fields }: Layer, ...names: readonly string[]): string | undefined {
  return fields.find(({ name }) => names.includes(name))?.text
}

/** What most people look for in a header. */
function gist(layer: Layer): string {
  const source = valueOf(layer, 'source', 'source port')
  const destination = valueOf(layer, 'destination', 'destination port')
  if (source !== undefined && destination !== undefined) return `${source} → ${destination}`
  const vni = valueOf(layer, 'VNI')
  return vni === undefined ? (valueOf(layer, 'type') ?? '') : `VNI ${vni}`
}

/** The same header at the place before: tunnels come and go in front, so it is counted from the end. */
function counterpart(layers: readonly Layer[], index: number, before: readonly Layer[] | undefined): Layer | undefined {
  const layer = layers[index]!
  const same = before?.[before.length - (layers.length - index)]
  return same?.name === layer.name ? same : undefined
}

function hexOf(bytes: Uint8Array): string {
  const lines = Array.from({ length: Math.ceil(bytes.length / bytesPerLine) }, (_, line) =>
    bytes
      .subarray(line * bytesPerLine, (line + 1) * bytesPerLine)
      .toHex()
      .replaceAll(/(..)(?=.)/g, '$1 '),
  )
  return lines.join('\n')
}

function fieldRow(field: Layer['fields'][number], was: string | undefined): Markup {
  const isChanged = was !== undefined && was !== field.text
  return markup`<tr${isChanged && markup` class="changed"`}>
    <th scope="row">${field.name}</th>
    <td>${field.text}${isChanged && markup` <span class="was">was ${was}</span>`}</td>
  </tr>`
}

function headerHtml(layer: Layer, before: Layer | undefined, bytes: Uint8Array): Markup {
  const name = nameOf(layer)
  const own = bytes.subarray(layer.offset, layer.offset + layer.lengthBytes)
  const rows = layer.fields.map((field) =>
    fieldRow(field, before?.fields.find((each) => each.name === field.name)?.text),
  )
  const where = `${layer.lengthBytes} bytes at ${layer.offset}${layer.isCut ? ', cut off' : ''}`
  return markup`<details class="header ${kindOf(layer)}">
    <summary>
      <span class="name">${name}</span> <span class="size">${where}</span> <span class="gist">${gist(layer)}</span>
    </summary>
    ${rows.length > 0 && markup`<table><caption>${hidden(`Fields of the ${name} header`)}</caption>${rows}</table>`}
    <pre>${hexOf(own)}</pre>
  </details>`
}

/** The nearest place before at which its bytes began to be these. */
function firstWithBytes(station: Station): Station {
  let first = station
  while (first.before !== undefined && first.before.hop.sighting!.bytes === station.hop.sighting!.bytes)
    first = first.before
  return first
}

const placeName = ({ hop: { device, pod } }: Station): string =>
  [device, pod === undefined ? '' : `of pod ${pod}`].filter(Boolean).join(' ')

export function headersHtml(station: Station): Markup {
  const { hop, layers, before } = station
  const first = firstWithBytes(station)
  if (first !== station)
    return markup`<p class="same">The same bytes as at <a href="#${first.id}">${code(placeName(first))}</a>.</p>`
  const bytes = Uint8Array.fromHex(hop.sighting!.bytes)
  if (layers.length === 0) return markup`<pre>${hexOf(bytes)}</pre>`
  return markup`<div class="headers">
    ${layers.map((layer, index) => headerHtml(layer, counterpart(layers, index, before?.layers), bytes))}
  </div>`
}
