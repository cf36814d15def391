local suspended = obj.spec.suspend == true
-- A rollout that stopped by itself goes on by an action of its own: nobody who merely wants to look again starts it.
local stopped = false
if obj.status ~= nil and obj.status.conditions ~= nil then
  for _, condition in ipairs(obj.status.conditions) do
    if condition.type == "Stalled" and condition.status == "True" and condition.reason == "RolloutStopped" then
      stopped = true
    end
  end
end
return {
  ["suspend"] = {["disabled"] = suspended},
  ["resume"] = {["disabled"] = not suspended},
  ["refresh"] = {["disabled"] = suspended or stopped},
  ["resume-rollout"] = {["disabled"] = not stopped}
}
