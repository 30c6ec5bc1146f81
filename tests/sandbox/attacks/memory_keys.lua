-- technique: keeps keys of ten kilobytes; must: limit
function run(input)
  local t, i = {}, 0
  while true do i = i + 1 t[('k'):rep(10000) .. i] = true end
end
