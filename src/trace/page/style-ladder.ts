// The ladder: nodes, places, bars, and the bar with which one walks.

export const ladderStyle = `
.walker{position:sticky;top:0;z-index:3;margin:1.5rem -.75rem 0;padding:.75rem;background:var(--paper);border-bottom:1px solid var(--line)}
.controls{display:flex;flex-wrap:wrap;align-items:center;gap:.5rem .75rem}
.buttons{display:flex;gap:.25rem}
.buttons button{padding:.45rem .6rem}
#play{background:var(--walk);color:var(--on-walk);border-color:var(--walk);padding-inline:.9rem}
#play svg+svg,#play.playing svg{display:none}#play.playing svg+svg{display:block}
#seek{flex:1 1 8rem;min-width:6rem;accent-color:var(--walk);margin:0}
#count{font-size:.875rem;color:var(--soft);font-variant-numeric:tabular-nums;min-width:4.5rem}
.stage{height:2.5rem;margin-top:.625rem}
.stage:empty{display:none}
.stage .bar{height:2.5rem;margin:0}
.stage .seg{font-size:.875rem}
#say{min-height:1.5rem;margin-top:.375rem;font-size:.9375rem}

.ladder{position:relative}
.ladder.beside{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,30rem),1fr));gap:0 2rem;align-items:start}
.direction{margin-top:1.75rem;min-width:0}
.direction>header{display:flex;flex-wrap:wrap;align-items:baseline;gap:0 .75rem;margin-bottom:.625rem}
.direction>header p{font-size:.875rem;color:var(--soft)}
.untaken>summary{cursor:pointer;color:var(--soft);padding:.375rem 0}
.way{display:grid;gap:0;grid-template-columns:minmax(0,1fr)}
.node{min-width:0;padding:.75rem;background:var(--card);border:1px solid var(--line);border-radius:10px;display:flex;flex-direction:column;gap:.5rem}
.node h3 .what,.node h4 .what{font-weight:400;color:var(--soft)}
.node h4{font-size:.875rem;padding:.375rem .5rem 0}
.groups{display:flex;flex-direction:column;gap:.375rem}
.pod{background:var(--sunk);border-radius:8px}
.outside{border-style:dashed}
.nobody{font-size:.875rem;color:var(--soft)}

.wire{position:relative;display:flex;flex-direction:column;align-items:center;justify-content:flex-end;gap:.25rem;padding:.75rem .5rem;text-align:center;font-size:.8125rem;line-height:1.35;color:var(--soft)}
.wire .line{display:block;position:relative;width:0;height:1.75rem;border-left:3px solid var(--wire)}
.wire .line::after{content:"";position:absolute;left:-7.5px;bottom:-2px;border-top:9px solid var(--wire);border-inline:6px solid transparent}
.wire.uncrossed .line,.wire.broken .line{border-left-style:dashed}
.wire{--wire:var(--edge)}.wire.dead{--wire:var(--bad)}.wire.unknown{--wire:var(--unknown)}

.station{position:relative;padding-left:1.75rem}
.station::before{content:"";position:absolute;left:.875rem;top:-.2rem;bottom:-.2rem;width:2px;margin-left:-1px;background:var(--edge)}
.station.missing::before,.station.barred::before{background:none;border-left:2px dotted var(--edge)}
.station::after{content:"";position:absolute;left:.875rem;bottom:.125rem;margin-left:-4px;border-top:6px solid var(--edge);border-inline:4px solid transparent}
.station.missing::after,.station.barred::after{content:none}
.station.ended::before{bottom:auto;height:1.25rem}.station.ended::after{content:none}
.node:first-child .groups>:first-child>ol>:first-child::before{top:1.05rem}
.node:last-child .groups>:last-child>ol>:last-child::before{bottom:auto;height:1.25rem}
.node:last-child .groups>:last-child>ol>:last-child::after{content:none}
.dot{position:absolute;left:.875rem;top:1.05rem;width:12px;height:12px;margin:-6px 0 0 -6px;border-radius:50%;background:var(--ink);border:2px solid var(--ink)}
.foretold>.dot{background:var(--card)}
.missing>.dot,.barred>.dot{background:var(--card);border-color:var(--edge);border-width:1px}
.passed>.dot{background:linear-gradient(90deg,var(--ink) 50%,var(--card) 50%)}
.stray>.dot{border-radius:0;rotate:45deg;background:var(--card)}
.drop>.dot{border-radius:2px;rotate:0deg;background:var(--bad);border-color:var(--bad)}
.station>details>summary,.plain{display:block;padding:.375rem .5rem .5rem;border-radius:6px;border:1px solid transparent}
.station>details>summary{cursor:pointer}
.station>details>summary::-webkit-details-marker{display:none}
.station>details>summary:hover{background:color-mix(in srgb,var(--edge) 12%,transparent)}
.station.here>details>summary{border-color:var(--walk);box-shadow:0 0 0 1px var(--walk);background:color-mix(in srgb,var(--walk) 8%,transparent)}
.row{display:flex;flex-wrap:wrap;align-items:baseline;gap:0 .5rem}
.row code{font-weight:600;font-size:.9375rem}
.row .of,.row .verb,.row .note{font-size:.875rem;color:var(--soft)}
.row .figures{margin-left:auto;display:flex;gap:.75rem;font-size:.8125rem;color:var(--soft);font-variant-numeric:tabular-nums}
.row .bytes{min-width:3.5rem;text-align:right}
.row::before{content:"";width:.4rem;height:.4rem;align-self:center;flex:none}
summary .row::before{border:solid var(--edge);border-width:0 2px 2px 0;rotate:-45deg}
details[open]>summary .row::before{rotate:45deg}
.missing .row code,.barred .row code{font-weight:400;color:var(--soft)}
.missing>details>summary,.missing>.plain,.barred>details>summary,.barred>.plain{padding-block:.25rem}.missing>.dot,.barred>.dot{top:.95rem}
.change{display:block;margin-top:.25rem;font-size:.875rem;line-height:1.4}
.drop>details>summary .verb{color:var(--bad);font-weight:700}

.bar{display:block;height:1.375rem;margin-top:.25rem}
.stack{display:flex;gap:4px;height:100%}
.outer,.inner{display:flex;gap:1px;min-width:0;flex-basis:0;height:100%;overflow:hidden}
.seg{flex-basis:0;min-width:0;height:100%;display:flex;align-items:center;justify-content:center;overflow:hidden;font-size:.6875rem;line-height:1;white-space:nowrap;container-type:inline-size;border-radius:2px}
.seg span{overflow-wrap:normal;display:none}
@container (min-width:3.25rem){.seg .long{display:inline}}
@container (min-width:1.8rem){.seg .brief{display:inline}}
@container (min-width:1.25rem) and (max-width:3.24rem){.seg .short{display:inline}}
@container (min-width:1.8rem) and (max-width:3.24rem){.seg .brief~.short{display:none}}
.seg.payload .long{display:inline}
.link{--fill:var(--link);--on:var(--on-link)}.network{--fill:var(--network);--on:var(--on-network)}.transport{--fill:var(--transport);--on:var(--on-transport)}.tunnel{--fill:var(--tunnel);--on:var(--on-tunnel)}.payload{--fill:var(--payload);--on:var(--on-payload)}
.seg{background:var(--fill);color:var(--on);box-shadow:inset 0 -3px 0 color-mix(in srgb,var(--on) 35%,transparent)}
.outer .seg{box-shadow:inset 0 3px 0 color-mix(in srgb,var(--on) 60%,transparent)}
.seg.payload{box-shadow:none;border:1px solid color-mix(in srgb,var(--on) 40%,transparent)}
.seg.cut{border-right:3px dotted var(--on)}
.seg.quoted{outline:1px dashed var(--on);outline-offset:-2px}

.inside{padding:.25rem .5rem .75rem}
.inside .label{margin:.5rem 0 .25rem}
.steps{display:grid;gap:.25rem;font-size:.875rem;line-height:1.45}
.steps li{display:grid;grid-template-columns:5.5rem minmax(0,1fr);gap:0 .5rem}
.steps .kind{color:var(--soft)}
.steps .mends{display:block}
.steps .obstacle{border-left:4px solid var(--bad);padding-left:.5rem;margin-left:-.75rem}
.steps .obstacle .kind,.steps .problem{color:var(--bad);font-weight:600}
.steps.told{padding:.125rem .5rem .5rem 1.25rem}
.same{font-size:.875rem}
.headers{display:grid;gap:2px}
.header{border-left:5px solid var(--fill);background:color-mix(in srgb,var(--fill) 30%,transparent);border-radius:3px}
.header>summary{cursor:pointer;display:flex;flex-wrap:wrap;gap:0 .625rem;align-items:baseline;padding:.25rem .5rem;font-size:.875rem}
.header .name{font-weight:600}
.header .size{color:var(--soft);font-size:.8125rem}
.header .gist{font-family:var(--mono);font-size:.8125rem;margin-left:auto;text-align:right}
.header table{border-collapse:collapse;font-size:.8125rem;margin:.125rem .5rem .25rem;font-variant-numeric:tabular-nums}
.header th{font-weight:400;text-align:left;color:var(--soft);padding:.0625rem 1rem .0625rem 0;vertical-align:top}
.header td{padding:.0625rem 0;font-family:var(--mono)}
.header .changed td{font-weight:700}
.was{font-weight:400;font-family:var(--sans);color:var(--soft);margin-left:.5rem}
pre{margin:.25rem .5rem .5rem;font-size:.8125rem;line-height:1.4;white-space:pre-wrap;overflow-wrap:anywhere}

.end{--sign-ink:var(--bad-bg);display:flex;flex-wrap:wrap;align-items:center;gap:.125rem .5rem;margin:.25rem .5rem .5rem 0;padding:.5rem .75rem;border-radius:6px;font-size:.9375rem;text-align:left;color:var(--bad);background:var(--bad-bg);border:2px solid var(--bad)}
.end.unknown{--sign-ink:var(--unknown-bg);color:var(--unknown);background:var(--unknown-bg);border-color:var(--unknown);border-style:dashed}
.end>span:last-child{color:var(--ink)}
.end.here{outline:3px solid var(--walk);outline-offset:2px}
.verdict.good{--sign-ink:var(--good-bg)}.verdict.bad{--sign-ink:var(--bad-bg)}.verdict.unknown{--sign-ink:var(--unknown-bg)}

#packet{position:absolute;left:0;top:0;z-index:2;width:26px;height:18px;margin:-9px 0 0 -13px;border-radius:4px;background:var(--walk);border:2px solid var(--card);box-shadow:0 0 0 1px var(--walk);pointer-events:none}
#packet.carried{box-shadow:0 0 0 1px var(--walk),0 0 0 4px var(--tunnel),0 0 0 5px var(--on-tunnel)}
#packet.gone{background:var(--bad);box-shadow:0 0 0 1px var(--bad)}
@media (prefers-reduced-motion:no-preference){#packet{transition:translate .35s ease-in-out}}

@media (min-width:64rem){
.way.two{grid-template-columns:minmax(0,1fr) 9.5rem minmax(0,1fr)}
.two>*{grid-row:1}.two>.col1{grid-column:1}.two>.wire{grid-column:2}.two>.col2{grid-column:3}
.two .groups,.two .host{display:flex;flex-direction:column;flex:1}
.two .host{justify-content:flex-end}
.two .node:not(:has(.pod)){align-self:end}
.two .groups:has(.pod) .host::before{content:"";flex:1;margin:-.375rem 0 0 calc(.875rem - 1px);border-left:2px solid var(--edge)}
.two .groups:has(.pod) .unreached::before{border-left-style:dotted}
.two .up .groups,.two .up ol{display:flex;flex-direction:column-reverse}
.two .up .station::after{bottom:auto;top:.125rem;border-top:0;border-bottom:6px solid var(--edge)}
.two .up .groups>:last-child>ol>:last-child::before{top:1.05rem;height:auto;bottom:-.2rem}
.two .up .station.ended::before{top:1.05rem;height:auto;bottom:-.2rem}
.two .wire.broken p{order:-1}
.two .wire{padding:.75rem .25rem 1.25rem}
.two .wire .line{width:calc(100% - .5rem);height:0;border-left:0;border-top:3px solid var(--wire);margin-top:.5rem}
.two .wire .line::after{left:auto;right:-2px;bottom:auto;top:-7.5px;border:0;border-left:9px solid var(--wire);border-block:6px solid transparent}
.two .wire.backwards .line::after{right:auto;left:-2px;border-left:0;border-right:9px solid var(--wire)}
.two .wire.uncrossed .line,.two .wire.broken .line{border-top-style:dashed}
.two .wire .end{margin-inline:0}
}
@media (max-width:40rem){.node{padding:.5rem}.station{padding-left:1.5rem}.dot,.station::before{left:.625rem}.steps li{grid-template-columns:minmax(0,1fr)}.header .gist{margin-left:0;text-align:left}#seek{order:1;flex-basis:100%}.buttons button{padding-inline:.45rem}.buttons #play{padding-inline:.7rem}#count{min-width:0}#open{margin-left:auto}}
@media (forced-colors:active){.seg,.end,.verdict,.node,.pod{border:1px solid}.dot,.sign{forced-color-adjust:none}}
@media print{.node{box-shadow:none}}
`
