import { setTimeout as sleep } from 'node:timers/promises'
import { readdirSync } from 'node:fs'
import { createPodsElsewhere, createPoliciesOf, agentAtRest, createLocalPod } from './policy-load.ts'
import { policiesOfSlots } from './policy-objects.ts'
import { ownCaller, callAll } from './pods.ts'
import { Rig } from './rig.ts'
await using rig = new Rig()
const host = rig.node('node')
const api = await rig.api(host)
await api.createNodes([1, 2, 3])
const opts = '--cpu-prof --cpu-prof-interval=500 --cpu-prof-dir=/tmp/h/prof --heapsnapshot-signal=SIGUSR2 --diagnostic-dir=/tmp/h/prof'
const agent = await rig.agent(host, api, { env: { NODE_OPTIONS: opts } })
const pods = Array.from({ length: 110 }, (_, index) => rig.netns(`local-${index}`))
await sleep(100)
const uids = new Map<string, string>()
for (const [slot, { name }] of pods.entries()) uids.set(name, await createLocalPod(api, name, String(slot)))
const own = ownCaller(rig, host, agent.pluginEnv, { uids })
for (const pod of pods) callAll(own, 'ADD', [pod])
await agentAtRest(agent, 1000)
console.log(agent.use)
await api.hold()
await createPodsElsewhere(api, 10_000, 110)
await createPoliciesOf(api, policiesOfSlots(1000, 110))
await api.release()
await agentAtRest(agent, 1000)
console.log(agent.use)
const pid = agent.use ? (agent as any).pid : 0
console.log('pid', pid, Object.keys(agent))
process.kill(pid, 'SIGUSR2')
await sleep(15000)
console.log(readdirSync('/tmp/h/prof'))
