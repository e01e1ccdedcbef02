// The image of the sandboxes, made from its C source: no registry is needed. The archive has the layout of `docker save`,
// which containerd imports.
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { must } from '../harness.ts'

export const pauseImage = 'causeway.test/pause:1'

const source = new URL('../../fixtures/pause.c', import.meta.url).pathname
/** Node's names of architectures to those of images. */
const architectures: Partial<Record<NodeJS.Architecture, string>> = { x64: 'amd64', arm64: 'arm64' }

/** Builds the image in `dir`; returns the path of its archive. */
export function buildPauseImage(dir: string): string {
  const root = join(dir, 'root')
  mkdirSync(root, { recursive: true })
  must('gcc', '-O2', '-static', '-s', '-Wall', '-Wextra', '-Werror', '-o', join(root, 'pause'), source)
  must('tar', '--create', '--file', join(dir, 'layer.tar'), '--directory', root, 'pause')
  const diffId = `sha256:${createHash('sha256')
    .update(readFileSync(join(dir, 'layer.tar')))
    .digest('hex')}`
  const config = {
    architecture: architectures[process.arch] ?? process.arch,
    os: 'linux',
    config: { Entrypoint: ['/pause'] },
    rootfs: { type: 'layers', diff_ids: [diffId] },
  }
  const manifest = [{ Config: 'config.json', RepoTags: [pauseImage], Layers: ['layer.tar'] }]
  writeFileSync(join(dir, 'config.json'), JSON.stringify(config))
  writeFileSync(join(dir, 'manifest.json'), JSON.stringify(manifest))
  const archive = join(dir, 'pause.tar')
  must('tar', '--create', '--file', archive, '--directory', dir, 'manifest.json', 'config.json', 'layer.tar')
  return archive
}
