-- technique: is no Lua; must: reject
function run(input) return input.marker +
