-- technique: resumes itself, and the dead; must: limit
function run(input)
  local co
  co = coroutine.create(function() while true do coroutine.resume(co) end end)
  while true do coroutine.resume(co) end
end
