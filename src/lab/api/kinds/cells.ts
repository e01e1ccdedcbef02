// Pieces of the tables that kubectl prints (pkg/printers/internalversion).
import { text, type Json } from '../json.ts'
import type { KubeObject } from '../objects.ts'
import type { Column } from './resource.ts'

/** A duration as `kubectl get` shows ages: 5s, 2m10s, 15m, 3h20m, 30h, 5d3h, 40d, 2y30d (apimachinery util/duration). */
export function humanDuration(totalSeconds: number): string {
  const seconds = Math.floor(totalSeconds)
  if (seconds < -1) return '<invalid>'
  if (seconds < 0) return '0s'
  if (seconds < 120) return `${seconds}s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 10) return twoUnits(minutes, 'm', seconds % 60, 's')
  if (minutes < 180) return `${minutes}m`
  const hours = Math.floor(minutes / 60)
  if (hours < 8) return twoUnits(hours, 'h', minutes % 60, 'm')
  if (hours < 48) return `${hours}h`
  const days = Math.floor(hours / 24)
  if (hours < 192) return twoUnits(days, 'd', hours % 24, 'h')
  if (days < 730) return `${days}d`
  const years = Math.floor(days / 365)
  return days < 2920 ? twoUnits(years, 'y', days % 365, 'd') : `${years}y`
}

function twoUnits(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large}${largeUnit}` : `${large}${largeUnit}${small}${smallUnit}`
}

/** How long ago a timestamp was. */
export function age(value: Json | undefined, now: Date): string {
  const time = Date.parse(text(value))
  return Number.isNaN(time) ? '<unknown>' : humanDuration((now.getTime() - time) / 1000)
}

type Options = {
  readonly wide?: boolean
  readonly type?: Column['type']
  readonly description?: string
  readonly format?: string
}

export function column(name: string, cell: Column['cell'], options: Options = {}): Column {
  const { wide = false, type = 'string', description = '', format } = options
  return { name, type, priority: wide ? 1 : 0, description, cell, ...(format === undefined ? {} : { format }) }
}

export const nameColumn = column('Name', (object) => object.metadata.name ?? '', {
  format: 'name',
  description: 'Name must be unique within a namespace.',
})

export const ageColumn = column('Age', (object: KubeObject, now) => age(object.metadata.creationTimestamp, now), {
  description: 'CreationTimestamp is the time when the server created the object.',
})

export function orNone(value: string): string {
  return value === '' ? '<none>' : value
}
