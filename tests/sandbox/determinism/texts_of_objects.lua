-- deterministic: objects as text, in errors too
function run(input)
  local t = {}
  return {tostring({}), tostring(t), tostring(t), ('%s'):format(run), tostring(coroutine.create(run)), select(2, pcall(error, tostring(t)))}
end
